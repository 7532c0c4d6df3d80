import type { Network } from "./network.ts";

/** Digits of a number in all, at most: so many tell any two apart when they are read as float64. */
const mostDigits = 15;

/** What a number must be. */
export interface NumberBounds {
  readonly isInteger: boolean;
  readonly least: number | null;
  readonly most: number | null;
  readonly isLeastExcluded: boolean;
  readonly isMostExcluded: boolean;
}

/**
 * Edges for a number. Without bounds, an exponent may follow where it need not be whole; with them, it is written out in
 * at most 15 digits.
 */
export function addNumber(network: Network, bounds: NumberBounds, from: number, to: number): void {
  const { isInteger, least, most } = bounds;
  if (least === null && most === null) {
    addUnbounded(network, isInteger, from, to);
    return;
  }
  const { below, above } = sizesOf(bounds);
  const negative = network.node();
  network.byte(from, 0x2d, 0x2d, negative);
  if (below) new SizeRange(network, below, isInteger, to).add(negative);
  if (above) new SizeRange(network, above, isInteger, to).add(from);
}

/** Sizes of the numbers below zero and of the others; null: there are none. Zero itself has no sign. */
function sizesOf({
  least,
  most,
  isLeastExcluded,
  isMostExcluded,
}: NumberBounds): Record<"below" | "above", Sizes | null> {
  const low = least === null ? null : { at: decimalOf(least), isExcluded: isLeastExcluded };
  const high = most === null ? null : { at: decimalOf(most), isExcluded: isMostExcluded };
  const isHighBelow = most !== null && most < 0;
  const isLowAbove = least !== null && least >= 0;
  return {
    below: isLowAbove ? null : { nearest: (isHighBelow ? high : null) ?? aboveZero, farthest: low },
    above: isHighBelow ? null : { nearest: (isLowAbove ? low : null) ?? fromZero, farthest: high },
  };
}

function addUnbounded(network: Network, isInteger: boolean, from: number, to: number): void {
  const first = network.node();
  network.byte(from, 0x2d, 0x2d, first);
  network.free(from, first);
  const whole = network.node();
  network.byte(first, 0x30, 0x30, whole);
  const leading = network.node();
  network.byte(first, 0x31, 0x39, leading);
  digitsUpTo(network, leading, mostDigits, whole);
  network.free(whole, to);
  if (isInteger) return;
  const [point, fraction, exponent, signed] = [network.node(), network.node(), network.node(), network.node()];
  network.byte(whole, 0x2e, 0x2e, point);
  digitsUpTo(network, digit(network, point), mostDigits, fraction);
  network.free(whole, fraction);
  network.free(fraction, to);
  for (const letter of [0x45, 0x65]) network.byte(fraction, letter, letter, exponent);
  network.byte(exponent, 0x2b, 0x2b, signed);
  network.byte(exponent, 0x2d, 0x2d, signed);
  network.free(exponent, signed);
  digitsUpTo(network, digit(network, signed), 1, to); // two digits are finite whatever stands before
}

function digit(network: Network, from: number): number {
  const to = network.node();
  network.byte(from, 0x30, 0x39, to);
  return to;
}

function digitsUpTo(network: Network, from: number, most: number, to: number): void {
  let at = from;
  network.free(at, to);
  for (let i = 0; i < most; i++) {
    at = digit(network, at);
    network.free(at, to);
  }
}

/** A size without its sign: digits before and behind the point, without zeros at the outer ends. */
interface Decimal {
  readonly whole: string;
  readonly fraction: string;
}

interface Bound {
  readonly at: Decimal;
  readonly isExcluded: boolean;
}

/** Sizes from the one nearest to zero to the farthest. */
interface Sizes {
  readonly nearest: Bound;
  readonly farthest: Bound | null;
}

const zero: Decimal = { whole: "0", fraction: "" };
const fromZero: Bound = { at: zero, isExcluded: false };
const aboveZero: Bound = { at: zero, isExcluded: true };

/** A size as digits, exactly as JavaScript writes it but for the exponent. */
export function decimalOf(size: number): Decimal {
  const [mantissa = "", exponent = "0"] = String(Math.abs(size)).split("e");
  const [whole = "", fraction = ""] = mantissa.split(".");
  const shift = Number(exponent);
  const all = shift < 0 ? "0".repeat(-shift) + whole + fraction : whole + fraction.padEnd(shift, "0");
  const point = shift < 0 ? whole.length : whole.length + shift;
  return {
    whole: all.slice(0, point).replace(/^0+(?=\d)/, ""),
    fraction: all.slice(point).replace(/0+$/, ""),
  };
}

/** Edges for sizes between two bounds, digit by digit: as long as a bound's digits are followed, the next is held to it. */
class SizeRange {
  readonly #network: Network;
  readonly #nearest: Bound;
  readonly #farthest: Bound | null;
  readonly #isInteger: boolean;
  readonly #to: number;

  constructor(network: Network, { nearest, farthest }: Sizes, isInteger: boolean, to: number) {
    this.#network = network;
    this.#nearest = nearest;
    this.#farthest = farthest;
    this.#isInteger = isInteger;
    this.#to = to;
  }

  add(from: number): void {
    const longest = Math.min(this.#farthest?.at.whole.length ?? mostDigits, mostDigits);
    for (let length = this.#nearest.at.whole.length; length <= longest; length++) {
      const places = new Map<string, number>();
      const isAtNearest = length === this.#nearest.at.whole.length;
      const isAtFarthest = length === this.#farthest?.at.whole.length;
      places.set(key(0, isAtNearest, isAtFarthest), from);
      this.#digits({ length, places, at: 0, isAtNearest, isAtFarthest });
    }
  }

  #digits(place: DigitPlace): void {
    const { length, at, isAtNearest, isAtFarthest } = place;
    const here = place.places.get(key(at, isAtNearest, isAtFarthest)) ?? 0;
    if (at >= length) this.#maybeEnd(place, here);
    if (at >= (this.#isInteger ? length : mostDigits)) return;
    const node = at === length ? this.#point(here) : here;
    const first = at === 0 && length > 1 ? 1 : 0;
    const low = isAtNearest ? digitAt(this.#nearest.at, length, at) : first - 1;
    const high = isAtFarthest ? digitAt(this.#farthest?.at ?? zero, length, at) : 10;
    // The digits of a bound hold the next one to it; those between them do not.
    if (isAtNearest && low <= high) this.#lead(node, [low, low], place, [true, low === high]);
    this.#lead(node, [low + 1, high - 1], place, [false, false]);
    if (isAtFarthest && high > low) this.#lead(node, [high, high], place, [false, true]);
  }

  /** Edges for some digits, behind which it is known whether they are still those of the bounds. */
  #lead(
    node: number,
    [first, last]: readonly [number, number],
    { length, places, at }: DigitPlace,
    [isAtNearest, isAtFarthest]: readonly [boolean, boolean],
  ): void {
    if (first > last) return;
    const next = { length, places, at: at + 1, isAtNearest, isAtFarthest };
    const nextKey = key(next.at, isAtNearest, isAtFarthest);
    const known = places.get(nextKey);
    const behind = known ?? this.#network.node();
    this.#network.byte(node, 0x30 + first, 0x30 + last, behind);
    if (known !== undefined) return;
    places.set(nextKey, behind);
    this.#digits(next);
  }

  #point(from: number): number {
    const to = this.#network.node();
    this.#network.byte(from, 0x2e, 0x2e, to);
    return to;
  }

  /** A number may end here if it is no bound that is excluded, and not yet short of the nearer one. */
  #maybeEnd({ length, at, isAtNearest, isAtFarthest }: DigitPlace, here: number): void {
    const behind = at - length;
    const isBelow = isAtNearest && (this.#nearest.at.fraction.length > behind || this.#nearest.isExcluded);
    const isFarthest = isAtFarthest && (this.#farthest?.at.fraction.length ?? 0) <= behind;
    if (!isBelow && !(isFarthest && this.#farthest?.isExcluded)) this.#network.free(here, this.#to);
  }
}

interface DigitPlace {
  /** Digits before the point. */
  readonly length: number;
  readonly places: Map<string, number>;
  /** Digits so far. */
  readonly at: number;
  /** Whether they are those of the bound. */
  readonly isAtNearest: boolean;
  readonly isAtFarthest: boolean;
}

function key(at: number, isAtNearest: boolean, isAtFarthest: boolean): string {
  return `${at}${isAtNearest ? "n" : ""}${isAtFarthest ? "f" : ""}`;
}

function digitAt({ whole, fraction }: Decimal, length: number, at: number): number {
  return Number((at < length ? whole[at] : fraction[at - length]) ?? 0);
}
