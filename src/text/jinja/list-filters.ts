import { itemOf } from "./attributes.ts";
import { operate } from "./operators.ts";
import { pythonStr } from "./python-text.ts";
import type { Filter, Runtime } from "./runtime.ts";
import { Given, itemsOf } from "./runtime.ts";
import type { Value } from "./values.ts";
import { compare, isEqual, isTruthy, JinjaError, tupleOf, Undefined } from "./values.ts";

/** The value at a path such as `a.b.0`, as filters take it for `attribute`; the item itself without one. */
function atPath(item: Value, path: Value | undefined, runtime: Runtime): Value {
  if (path === undefined || path === null) return item;
  const parts = typeof path === "string" ? path.split(".") : [path];
  return parts.reduce<Value>((value, part) => {
    return itemOf(value, typeof part === "string" && /^\d+$/.test(part) ? Number(part) : part, runtime);
  }, item);
}

/** For comparing: texts without their case unless it counts. */
function sortKey(value: Value, isCaseSensitive: boolean): Value {
  return typeof value === "string" && !isCaseSensitive ? value.toLowerCase() : value;
}

const isTrue = (value: Value | undefined): boolean => value !== undefined && isTruthy(value);

const sort: Filter = (value, given, runtime) => {
  const [isReversed, isCaseSensitive] = [isTrue(given.at(0, "reverse")), isTrue(given.at(1, "case_sensitive"))];
  const path = given.at(2, "attribute") ?? null;
  const paths = typeof path === "string" ? path.split(",") : [path];
  const keyed = itemsOf(value, runtime).map((item) => ({
    item,
    keys: paths.map((one) => sortKey(atPath(item, one, runtime), isCaseSensitive)),
  }));
  keyed.sort((a, b) => (isReversed ? -1 : 1) * compare([...a.keys], [...b.keys]));
  return keyed.map(({ item }) => item);
};

const dictsort: Filter = (value, given, runtime) => {
  if (!(value instanceof Map)) throw new JinjaError("dictsort needs a dict");
  const place = given.at(1, "by") === "value" ? 1 : 0;
  const named = new Map<string, Value>([
    ["reverse", given.at(2, "reverse") ?? false],
    ["case_sensitive", given.at(0, "case_sensitive") ?? false],
    ["attribute", place],
  ]);
  return sort([...value].map(tupleOf), new Given([], named), runtime);
};

const unique: Filter = (value, given, runtime) => {
  const seen: Value[] = [];
  return itemsOf(value, runtime).filter((item) => {
    const key = sortKey(atPath(item, given.at(1, "attribute"), runtime), isTrue(given.at(0, "case_sensitive")));
    runtime.budget.step(seen.length);
    if (seen.some((other) => isEqual(other, key))) return false;
    seen.push(key);
    return true;
  });
};

const extreme = (sign: number): Filter => {
  return (value, given, runtime) => {
    const items = itemsOf(value, runtime);
    const key = (item: Value): Value =>
      sortKey(atPath(item, given.at(1, "attribute"), runtime), isTrue(given.at(0, "case_sensitive")));
    if (items.length === 0) return new Undefined("No aggregated item, sequence was empty.", runtime.isStrict);
    return items.reduce((best, item) => (sign * compare(key(item), key(best)) > 0 ? item : best));
  };
};

const groupby: Filter = (value, given, runtime) => {
  const path = given.at(0, "attribute");
  const isCaseSensitive = isTrue(given.at(2, "case_sensitive"));
  const keyOfItem = (item: Value): Value => {
    const found = atPath(item, path, runtime);
    return found instanceof Undefined ? (given.at(1, "default") ?? found) : found;
  };
  const named = new Map<string, Value>([["attribute", 0]]);
  const pairs = itemsOf(value, runtime).map((item) => tupleOf([sortKey(keyOfItem(item), isCaseSensitive), item]));
  const groups: { readonly key: Value; readonly items: Value[] }[] = [];
  for (const pair of sort(pairs, new Given([], named), runtime) as Value[][]) {
    const [key = null, item = null] = pair;
    const last = groups.at(-1);
    if (last && isEqual(last.key, key)) last.items.push(item);
    else groups.push({ key, items: [item] });
  }
  return groups.map(({ key, items }) => tupleOf([isCaseSensitive ? key : keyOfItem(items[0] ?? null), items]));
};

/** `map("upper")`, `map(attribute="name")`. */
const map: Filter = (value, given, runtime) => {
  const items = itemsOf(value, runtime);
  const path = given.named.get("attribute");
  if (path === undefined) {
    const name = given.text(0, "name");
    return items.map((item) => runtime.filter(name, item, given.after(1)));
  }
  return items.map((item) => {
    const found = atPath(item, path, runtime);
    return found instanceof Undefined ? (given.named.get("default") ?? found) : found;
  });
};

/** `select("odd")`, `rejectattr("role", "equalto", "system")`: keeps what passes a test, or what does not. */
const pick = (isKept: boolean, isOfAttribute: boolean): Filter => {
  return (value, given, runtime) => {
    const [path, rest] = isOfAttribute ? [given.positional[0], given.after(1)] : [undefined, given];
    const name = rest.positional.length > 0 ? rest.text(0, "test") : null;
    return itemsOf(value, runtime).filter((item) => {
      const own = atPath(item, path, runtime);
      const passes = name === null ? isTruthy(own) : runtime.test(name, own, rest.after(1));
      return passes === isKept;
    });
  };
};

const join: Filter = (value, given, runtime) => {
  const path = given.at(1, "attribute");
  const texts = itemsOf(value, runtime).map((item) => pythonStr(atPath(item, path, runtime)));
  return texts.join(pythonStr(given.at(0, "d") ?? ""));
};

const sum: Filter = (value, given, runtime) => {
  const items = itemsOf(value, runtime).map((item) => atPath(item, given.at(0, "attribute"), runtime));
  return items.reduce<Value>((total, item) => operate("+", total, item, runtime), given.at(1, "start") ?? 0);
};

const batch: Filter = (value, given, runtime) => {
  const [items, size] = [itemsOf(value, runtime), given.integer(0, "linecount")];
  if (size < 1) throw new JinjaError("batch: its size must be at least 1");
  const fill = given.at(1, "fill_with") ?? null;
  const rows: Value[][] = [];
  for (let at = 0; at < items.length; at += size) rows.push(items.slice(at, at + size));
  const last = rows.at(-1);
  if (fill !== null && last) while (last.length < size && last.length < 10_000) last.push(fill);
  return rows;
};

const slice: Filter = (value, given, runtime) => {
  const [items, count] = [itemsOf(value, runtime), given.integer(0, "slices")];
  if (count < 1 || count > 10_000) throw new JinjaError("slice: the number of slices must be between 1 and 10000");
  const fill = given.at(1, "fill_with") ?? null;
  const [each, over] = [Math.floor(items.length / count), items.length % count];
  return Array.from({ length: count }, (_, i) => {
    const start = i * each + Math.min(i, over);
    const own = items.slice(start, start + each + (i < over ? 1 : 0));
    return fill !== null && i >= over && over > 0 ? [...own, fill] : own;
  });
};

const first: Filter = (value, _, runtime) =>
  itemsOf(value, runtime)[0] ?? new Undefined("No first item, sequence was empty.", runtime.isStrict);
const last: Filter = (value, _, runtime) =>
  itemsOf(value, runtime).at(-1) ?? new Undefined("No last item, sequence was empty.", runtime.isStrict);

/** Filters of sequences, by Jinja's names. */
export const listFilters: Readonly<Record<string, Filter>> = {
  ...{ batch, dictsort, first, groupby, join, last, map, slice, sort, sum, unique },
  list: (value, _, runtime) => itemsOf(value, runtime),
  max: extreme(1),
  min: extreme(-1),
  reject: pick(false, false),
  rejectattr: pick(false, true),
  reverse: (value, _, runtime) => {
    const items = itemsOf(value, runtime).toReversed();
    return typeof value === "string" ? items.map(pythonStr).join("") : items;
  },
  select: pick(true, false),
  selectattr: pick(true, true),
};
