/** Settings that only matter in training, or that reading finds out by itself. */
const passing = /[dD]ropout$|^(config|initializerRange|tiedEmbeddings|balanceWeight|routerZWeight)$/;

/** float32 keeps seven digits. */
const tolerance = 1e-6;

/**
 * The first setting in which a model is not what another is, in words, or null; numbers that float32 does not tell apart
 * are the same.
 */
export function firstDifference(wanted: unknown, found: unknown, path = ""): string | null {
  if (typeof wanted !== "object" || wanted === null || typeof found !== "object" || found === null) {
    return isSame(wanted, found) ? null : `${path} ${show(wanted)}, this model has ${show(found)}`;
  }
  const [one, other] = [wanted, found] as Record<string, unknown>[];
  for (const key of new Set([...Object.keys(wanted), ...Object.keys(found)])) {
    if (passing.test(key)) continue;
    const difference = firstDifference(one?.[key], other?.[key], path === "" ? key : `${path}.${key}`);
    if (difference !== null) return difference;
  }
  return null;
}

function isSame(a: unknown, b: unknown): boolean {
  if (typeof a !== "number" || typeof b !== "number") return a === b;
  return Math.abs(a - b) <= tolerance * Math.max(Math.abs(a), Math.abs(b));
}

function show(value: unknown): string {
  return value === null || value === undefined ? "none" : JSON.stringify(value).slice(0, 60).replaceAll('"', "");
}
