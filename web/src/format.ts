/** `4.2 s`, `3 min 20 s`, `1 h 5 min`, `2 d 3 h`: a duration in its two largest units. */
export function durationText(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}

/** `137 k`, `1.5 M`, `124 M`: a count in a few characters. */
export function countText(count: number): string {
  const [unit, letter] = count >= 1e9 ? [1e9, "G"] : count >= 1e6 ? [1e6, "M"] : count >= 1e4 ? [1e3, "k"] : [1, ""];
  const share = count / unit;
  if (unit === 1) return count.toLocaleString("en-US", { maximumFractionDigits: 1 });
  return `${share < 10 ? share.toFixed(1) : Math.round(share)} ${letter}`;
}

/** A moment in this browser's time and language: `3 Mar 2026, 14:05`. */
export function momentText(iso: string): string {
  const date = new Date(iso);
  return Number.isNaN(date.getTime())
    ? iso
    : date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}
