/** A probability: `12 %`, `0.3 %`, `0.02 %`; what is smaller still as a power of ten. */
export function percent(probability: number): string {
  const share = 100 * probability;
  if (share >= 9.95) return `${share.toFixed(0)} %`;
  if (share >= 0.095) return `${share.toFixed(1)} %`;
  if (share >= 0.0095) return `${Number(share.toPrecision(2))} %`;
  return share === 0 ? "0 %" : `10${superscript(Math.round(Math.log10(probability)))}`;
}

/** Bytes with a unit of three digits. */
export function bytes(count: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  const unit = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(count, 1)) / 10));
  const value = count / 2 ** (10 * unit);
  return `${unit === 0 || value >= 100 ? value.toFixed(0) : value.toPrecision(3)} ${units[unit]}`;
}

/** A number of things: `1,234`, `2.83 M`. */
export function count(value: number): string {
  if (value >= 1e9) return `${(value / 1e9).toPrecision(3)} G`;
  if (value >= 1e6) return `${(value / 1e6).toPrecision(3)} M`;
  return value.toLocaleString("en");
}

/** A measured number to three digits. */
export function digits(value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e4 || size < 1e-3 ? value.toExponential(1) : value.toPrecision(3);
}

/** A time: `38 ms`, `1.2 s`, `3 min`. */
export function seconds(value: number): string {
  const ms = 1000 * value;
  if (value < 1) return `${ms < 99.5 ? ms.toPrecision(2) : ms.toFixed(0)} ms`;
  if (value < 120) return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} s`;
  return value < 7200 ? `${Math.round(value / 60)} min` : `${(value / 3600).toFixed(1)} h`;
}

function superscript(value: number): string {
  const digitsOf = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  const text = [...String(Math.abs(value))].map((digit) => digitsOf[Number(digit)]).join("");
  return value < 0 ? `⁻${text}` : text;
}
