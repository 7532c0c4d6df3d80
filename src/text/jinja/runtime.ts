import type { Callable, Value } from "./values.ts";
import { Attributes, JinjaError, refuseStrict, typeName, Undefined } from "./values.ts";

/** What a call was given, read by place or name. */
export class Given {
  readonly positional: readonly Value[];
  readonly named: ReadonlyMap<string, Value>;

  constructor(positional: readonly Value[] = [], named: ReadonlyMap<string, Value> = new Map()) {
    this.positional = positional;
    this.named = named;
  }

  /** The argument at a place or by its name; undefined where it is not given. */
  at(place: number, name: string): Value | undefined {
    return this.positional[place] ?? this.named.get(name);
  }

  /** An argument that is a text. */
  text(place: number, name: string, fallback?: string): string {
    const value = this.at(place, name) ?? fallback;
    if (typeof value === "string") return value;
    throw new JinjaError(`${name} must be a text, not ${value === undefined ? "left out" : typeName(value)}`);
  }

  /** An argument that is a whole number. */
  integer(place: number, name: string, fallback?: number): number {
    const value = this.at(place, name) ?? fallback;
    if (typeof value === "number" || typeof value === "boolean") return Number(value);
    throw new JinjaError(`${name} must be an integer, not ${value === undefined ? "left out" : typeName(value)}`);
  }

  /** Without the first `count` positional arguments. */
  after(count: number): Given {
    return new Given(this.positional.slice(count), this.named);
  }
}

/**
 * What a template may do at most, so that none runs for ever: far more than a prompt or a conversation needs, and the same on
 * every machine. Steps are statements, expressions and items; characters those of all texts that it makes.
 */
const most = { steps: 2_000_000, characters: 50_000_000 };

/** Counts what a template does. */
export class Budget {
  #steps = 0;
  #characters = 0;

  /** @throws {JinjaError} beyond the limit. */
  step(count = 1): void {
    this.#steps += count;
    if (this.#steps > most.steps) throw new JinjaError(`takes more than ${most.steps} steps`);
  }

  /** @throws {JinjaError} beyond the limit. */
  write(characters: number): void {
    this.#characters += characters;
    if (this.#characters > most.characters) throw new JinjaError(`makes more than ${most.characters} characters`);
  }
}

/** What filters, tests and methods need of the template that runs. */
export interface Runtime {
  readonly isStrict: boolean;
  readonly budget: Budget;
  filter(name: string, value: Value, given: Given): Value;
  test(name: string, value: Value, given: Given): boolean;
}

/** A filter of a template: `value | name(given)`. */
export type Filter = (value: Value, given: Given, runtime: Runtime) => Value;

/** A test of a template: `value is name(given)`. */
export type Test = (value: Value, given: Given, runtime: Runtime) => boolean;

/**
 * What `for` walks over: items of a list, keys of a dict, characters of a text.
 *
 * @throws {JinjaError} for values that cannot be walked over.
 */
export function itemsOf(value: Value, { budget }: Pick<Runtime, "budget">): Value[] {
  const items = listOf(value);
  budget.step(items.length);
  return items;
}

function listOf(value: Value): Value[] {
  if (Array.isArray(value)) return Array.from(value);
  if (typeof value === "string") return [...value];
  if (value instanceof Map) return [...value.keys()];
  if (value instanceof Undefined) return refuseStrict(value) ?? [];
  throw new JinjaError(`'${typeName(value)}' object is not iterable`);
}

/** @throws {JinjaError} when the value is none that can be called. */
export function callableOf(value: Value, what: string): Callable {
  if (value instanceof Undefined) throw new JinjaError(value.hint);
  const callee = value instanceof Attributes ? value.values.get("()") : value;
  if (typeof callee === "object" && callee !== null && "call" in callee) return callee;
  throw new JinjaError(`${what} is no function but ${typeName(value)}`);
}

/** Python's index into `length` items: negative ones count from the end. */
export function placeOf(index: number, length: number): number {
  return index < 0 ? index + length : index;
}

/** The places that Python's slice takes, in order. */
export function slicePlaces(length: number, bounds: readonly (number | null)[]): number[] {
  const [start = null, end = null, step = null] = bounds;
  const by = step ?? 1;
  if (by === 0) throw new JinjaError("slice step cannot be zero");
  const clamp = (value: number): number =>
    Math.min(Math.max(placeOf(value, length), by < 0 ? -1 : 0), by < 0 ? length - 1 : length);
  const first = start === null ? (by < 0 ? length - 1 : 0) : clamp(start);
  const last = end === null ? (by < 0 ? -1 : length) : clamp(end);
  const places: number[] = [];
  for (let at = first; by < 0 ? at > last : at < last; at += by) places.push(at);
  return places;
}

/** Characters of one text that is made by repeating or padding, at most. */
const longestRepeat = 10_000_000;

/** @throws {JinjaError} when the result would be longer than any prompt is. */
export function repeat(text: string, count: number): string {
  if (text.length * count > longestRepeat) throw new JinjaError(`makes more than ${longestRepeat} characters`);
  return text.repeat(Math.max(0, count));
}
