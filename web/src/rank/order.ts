/**
 * An order that somebody is making of answers, which have numbers from 1. Answers of one group are equal; the first group is
 * the best. What is in no group has no place yet.
 */
export interface Order {
  readonly groups: readonly (readonly number[])[];
  /** Whether the next answer is to be equal to the last one. */
  readonly isTying: boolean;
}

/** Nothing has a place yet. */
export const noOrder: Order = { groups: [], isTying: false };

/** Rank of an answer from 1, or 0 where it has none. */
export function rankOf({ groups }: Order, answer: number): number {
  return groups.findIndex((group) => group.includes(answer)) + 1;
}

/** Answers as a list: those with a place, best first, then the others. */
export function listed({ groups }: Order, count: number): number[] {
  const placed = groups.flat();
  return [...placed, ...numbers(count).filter((answer) => !placed.includes(answer))];
}

/** Puts an answer behind those that have a place, or beside the last one where that was said; no change if it has one. */
export function place(order: Order, answer: number): Order {
  if (rankOf(order, answer) > 0) return order;
  const last = order.groups.at(-1);
  if (!order.isTying || last === undefined) return { groups: [...order.groups, [answer]], isTying: false };
  return { groups: [...order.groups.slice(0, -1), [...last, answer]], isTying: false };
}

/** Says that the next answer is equal to the last one. */
export function tieNext(order: Order): Order {
  return { ...order, isTying: order.groups.length > 0 };
}

/** Takes back what was said last. */
export function takeBack({ groups, isTying }: Order): Order {
  if (isTying) return { groups, isTying: false };
  const last = groups.at(-1)?.slice(0, -1) ?? [];
  return { groups: [...groups.slice(0, -1), ...(last.length > 0 ? [last] : [])], isTying: last.length > 0 };
}

/** Moves an answer a place up: out of its tie, before the one above; from among those without a place to the end. */
export function moveUp(order: Order, answer: number): Order {
  const at = rankOf(order, answer) - 1;
  if (at < 0) return place({ ...order, isTying: false }, answer);
  const { groups } = order;
  const own = groups[at] ?? [];
  if (own.length === 1 && at === 0) return order;
  const rest = without(groups, answer);
  const to = own.length > 1 ? at : at - 1;
  return { groups: [...rest.slice(0, to), [answer], ...rest.slice(to)], isTying: false };
}

/** Moves an answer a place down: out of its tie, behind the one below; the last one loses its place. */
export function moveDown(order: Order, answer: number): Order {
  const at = rankOf(order, answer) - 1;
  if (at < 0) return order;
  const { groups } = order;
  const own = groups[at] ?? [];
  const rest = without(groups, answer);
  if (own.length === 1 && at === groups.length - 1) return { groups: rest, isTying: false };
  const to = at + 1;
  return { groups: [...rest.slice(0, to), [answer], ...rest.slice(to)], isTying: false };
}

/** Makes an answer equal to the one listed before it, or no longer. */
export function toggleTie(order: Order, answer: number): Order {
  const at = rankOf(order, answer) - 1;
  const { groups } = order;
  const own = groups[at] ?? [];
  const place = own.indexOf(answer);
  if (place > 0) {
    const halves = [own.slice(0, place), own.slice(place)];
    return { groups: [...groups.slice(0, at), ...halves, ...groups.slice(at + 1)], isTying: false };
  }
  if (at <= 0) return order;
  const joined = [...(groups[at - 1] ?? []), ...own];
  return { groups: [...groups.slice(0, at - 1), joined, ...groups.slice(at + 1)], isTying: false };
}

/** What is still wrong with an order, in one sentence; "" where it can be saved. */
export function missing({ groups }: Order, count: number): string {
  const placed = groups.flat();
  const open = numbers(count).filter((answer) => !placed.includes(answer));
  if (open.length === 1) return `Answer ${open[0]} has no place yet.`;
  if (open.length > 1) return `Answers ${open.join(", ")} have no place yet.`;
  return groups.length < 2 ? "All answers are equal, which says nothing: skip them." : "";
}

/** As `stemma rank` reads it: `3 1=4 2`. */
export function written({ groups }: Order): string {
  return groups.map((group) => group.join("=")).join(" ");
}

function without(groups: Order["groups"], answer: number): (readonly number[])[] {
  return groups.map((group) => group.filter((one) => one !== answer)).filter((group) => group.length > 0);
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1);
}
