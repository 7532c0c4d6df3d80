import type { Budget } from "./runtime.ts";
import { Given, itemsOf } from "./runtime.ts";
import type { Value } from "./values.ts";
import { Attributes, Callable, JinjaError, tupleOf } from "./values.ts";

/** Functions that every template may call. */
export function globals(budget: Budget): Map<string, Value> {
  const define = (name: string, call: (given: Given) => Value): readonly [string, Value] => [
    name,
    new Callable(name, (positional, named) => call(new Given(positional, named))),
  ];
  return new Map([
    define("range", (given) => range(given, budget)),
    define("dict", (given) => new Map([...pairs(given.positional[0] ?? [], budget), ...given.named])),
    define("namespace", (given) => {
      return new Attributes("namespace", [...pairs(given.positional[0] ?? [], budget), ...given.named]);
    }),
  ]);
}

function range(given: Given, budget: Budget): Value {
  const numbers = given.positional.map((_, i) => given.integer(i, "range"));
  const [start, stop, step = 1] = numbers.length === 1 ? [0, ...numbers] : numbers;
  if (start === undefined || stop === undefined) throw new JinjaError("range: needs one to three whole numbers");
  if (step === 0) throw new JinjaError("range: its step cannot be zero");
  const count = Math.max(0, Math.ceil((stop - start) / step));
  budget.step(count);
  return Array.from({ length: count }, (_, i) => start + i * step);
}

function pairs(value: Value, budget: Budget): (readonly [string, Value])[] {
  if (value instanceof Map) return [...value].map(([key, item]) => [String(key), item]);
  return itemsOf(value, { budget }).map((pair) => {
    const [key = null, item = null] = itemsOf(pair, { budget });
    return [String(key), item];
  });
}

/** What `loop` knows at each turn. `previous` holds what `loop.changed` was last asked about. */
export function loopAttributes(
  items: readonly Value[],
  at: number,
  depth: number,
  previous: { values: Value | null; isSame: (a: Value, b: Value) => boolean },
): Attributes {
  const loop = new Attributes("loop", [
    ...Object.entries({ index: at + 1, index0: at, first: at === 0, last: at === items.length - 1 }),
    ...Object.entries({ length: items.length, revindex: items.length - at, revindex0: items.length - at - 1 }),
    ...Object.entries({ depth, depth0: depth - 1 }),
  ]);
  const set = (name: string, call: (values: readonly Value[]) => Value): void => {
    loop.values.set(name, new Callable(name, call));
  };
  if (at > 0) loop.values.set("previtem", items[at - 1] ?? null);
  if (at < items.length - 1) loop.values.set("nextitem", items[at + 1] ?? null);
  set("cycle", (values) => values[at % Math.max(1, values.length)] ?? null);
  set("changed", (values) => {
    const now = tupleOf(values);
    const isChanged = previous.values === null || !previous.isSame(previous.values, now);
    previous.values = now;
    return isChanged;
  });
  return loop;
}
