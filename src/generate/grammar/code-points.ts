/** Sets of Unicode code points: ranges that are in order, inclusive, and neither touch nor overlap. */
export type CodePoints = readonly (readonly [first: number, last: number])[];

/** Everything that UTF-8 can write. */
export const allCodePoints: CodePoints = [
  [0, 0xd7ff],
  [0xe000, 0x10ffff],
];

/** The set of ranges in any order. */
export function codePoints(...ranges: readonly (readonly [number, number])[]): CodePoints {
  const sorted = [...ranges].sort(([a], [b]) => a - b);
  const joined: [number, number][] = [];
  for (const [first, last] of sorted) {
    const previous = joined.at(-1);
    if (previous && first <= previous[1] + 1) previous[1] = Math.max(previous[1], last);
    else joined.push([first, last]);
  }
  return joined;
}

/** What either set holds. */
export function union(a: CodePoints, b: CodePoints): CodePoints {
  return codePoints(...a, ...b);
}

/** What `a` holds and `b` does not. */
export function without(a: CodePoints, b: CodePoints): CodePoints {
  let left = [...a];
  for (const [first, last] of b) {
    left = left.flatMap(([start, end]): [number, number][] => {
      if (last < start || first > end) return [[start, end]];
      const parts: [number, number][] = [
        [start, first - 1],
        [last + 1, end],
      ];
      return parts.filter(([from, to]) => from <= to);
    });
  }
  return left;
}

/** What both sets hold. */
export function intersection(a: CodePoints, b: CodePoints): CodePoints {
  return without(a, without(allCodePoints, b));
}

/** Whether a set holds a code point. */
export function holds(set: CodePoints, point: number): boolean {
  return set.some(([first, last]) => first <= point && point <= last);
}

/** Ranges of bytes, one for each byte of a character. */
export type ByteRanges = readonly (readonly [first: number, last: number])[];

/** The bytes of a set's characters in UTF-8: each entry is a range for every byte, and all their combinations are meant. */
export function utf8Ranges(set: CodePoints): ByteRanges[] {
  return intersection(set, allCodePoints).flatMap(([first, last]) => splitByLength(first, last));
}

function splitByLength(first: number, last: number): ByteRanges[] {
  for (const end of [0x7f, 0x7ff, 0xffff]) {
    if (first <= end && end < last) return [...splitByLength(first, end), ...splitByLength(end + 1, last)];
  }
  return last <= 0x7f ? [[[first, last]]] : splitByTail(first, last);
}

/** Cuts a range until the bytes behind the first that differs take all values. */
function splitByTail(first: number, last: number): ByteRanges[] {
  for (const bits of [6, 12, 18]) {
    const tail = 2 ** bits - 1;
    const [head, end] = [first >> bits, last >> bits];
    if (head === end) continue;
    const whole = head * 2 ** bits;
    if (first !== whole) return [...splitByTail(first, whole + tail), ...splitByTail(whole + tail + 1, last)];
    if (last !== end * 2 ** bits + tail) {
      return [...splitByTail(first, end * 2 ** bits - 1), ...splitByTail(end * 2 ** bits, last)];
    }
  }
  const [low, high] = [utf8Of(first), utf8Of(last)];
  return [low.map((byte, i): [number, number] => [byte, high[i] ?? byte])];
}

function utf8Of(point: number): number[] {
  if (point < 0x80) return [point];
  if (point < 0x800) return [0xc0 | (point >> 6), 0x80 | (point & 63)];
  if (point < 0x10000) return [0xe0 | (point >> 12), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63)];
  return [0xf0 | (point >> 18), 0x80 | ((point >> 12) & 63), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63)];
}
