const levels = "▁▂▃▄▅▆▇█";

/** The way of some numbers in one line of at most `width` characters: each is the mean of its stretch, from ▁ to █. */
export function sparkline(values: readonly number[], width: number): string {
  if (values.length < 2) return "";
  const count = Math.min(width, values.length);
  const means = Array.from({ length: count }, (_, i) => {
    const part = values.slice(Math.floor((i * values.length) / count), Math.floor(((i + 1) * values.length) / count));
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
  const [least, most] = [Math.min(...means), Math.max(...means)];
  const share = (mean: number): number => (most === least ? 0 : (mean - least) / (most - least));
  return means.map((mean) => levels[Math.round(share(mean) * (levels.length - 1))]).join("");
}
