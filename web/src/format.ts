/** `38 ms`, `4.2 s`, `3 min 20 s`, `1 h 5 min`, `2 d 3 h`: a duration in its two largest units. */
export function durationText(seconds: number): string {
  const ms = 1000 * seconds;
  if (seconds > 0 && seconds < 0.9995) return `${ms < 99.5 ? ms.toPrecision(2) : ms.toFixed(0)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}

/** A moment in this browser's time and language: `3 Mar 2026, 14:05`; `unknown` for what is none. */
export function momentText(iso: string): string {
  const date = new Date(iso);
  return Number.isNaN(date.getTime())
    ? "unknown"
    : date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** A number of things, as exactly as one reads it: `1,234`, `2.83 M`. */
export function countText(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toPrecision(3)} G`;
  if (count >= 1e6) return `${(count / 1e6).toPrecision(3)} M`;
  return count.toLocaleString("en");
}

/** A probability: `12 %`, `0.3 %`, `0.02 %`; what is smaller still as a power of ten. */
export function percentText(probability: number): string {
  const share = 100 * probability;
  if (share >= 9.95) return `${share.toFixed(0)} %`;
  if (share >= 0.095) return `${share.toFixed(1)} %`;
  if (share >= 0.0095) return `${Number(share.toPrecision(2))} %`;
  return share === 0 ? "0 %" : `10${superscript(Math.round(Math.log10(probability)))}`;
}

/** A measured number to three digits. */
export function digitsText(value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e4 || size < 1e-3 ? value.toExponential(1) : value.toPrecision(3);
}

function superscript(value: number): string {
  const digits = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  const text = [...String(Math.abs(value))].map((digit) => digits[Number(digit)]).join("");
  return value < 0 ? `⁻${text}` : text;
}
