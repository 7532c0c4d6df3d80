import { SettingsError } from "./errors.ts";

const units: readonly (readonly [number, string])[] = [
  [1e12, "TB"],
  [1e9, "GB"],
  [1e6, "MB"],
  [1e3, "kB"],
];

/** `16.0 GB`, `512 MB`, `12 B`: three digits and a power of ten. */
export function formatBytes(bytes: number): string {
  const found = units.find(([limit]) => bytes >= limit);
  if (found === undefined) return `${Math.round(bytes)} B`;
  const [size, unit] = found;
  const amount = bytes / size;
  return `${amount < 999.5 ? amount.toPrecision(3) : Math.round(amount).toLocaleString("en-US")} ${unit}`;
}

const powers = ["", "K", "M", "G", "T"];

/**
 * Bytes of a size as people write it: `16GB`, `512 MB` with powers of ten, `16GiB` with those of 1024.
 *
 * @param where - What the size is of, for messages.
 * @throws {SettingsError} when it is none, or has no unit.
 */
export function parseBytes(text: string, where: string): number {
  const written = text.trim();
  const [, digits = "", power = "", binary = ""] = /^([\d.]+)\s*(?:B|([kMGT])(i?)B?)$/i.exec(written) ?? [];
  const value = Number(digits) * (binary ? 1024 : 1000) ** powers.indexOf(power.toUpperCase());
  if (digits !== "" && Number.isFinite(value) && value > 0) return value;
  if (/^[\d.]+$/.test(written)) {
    throw new SettingsError(`${where}: ${written} has no unit; write ${written}GB or ${written}MB`);
  }
  throw new SettingsError(`${where}: ${JSON.stringify(text)} is no size; write it as 16GB or 512MB`);
}
