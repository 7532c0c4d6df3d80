import type { Continuation } from "./continuation.ts";

/** Continuations that wait for a slot. Owners take turns; those of one come in their order. */
export class WaitingLine {
  /** The owner whose turn is next stands first. */
  readonly #byOwner = new Map<string, Continuation[]>();

  /** Puts one behind all others of its owner. */
  push(continuation: Continuation): void {
    const { owner } = continuation.of.request;
    const own = this.#byOwner.get(owner);
    if (own) own.push(continuation);
    else this.#byOwner.set(owner, [continuation]);
  }

  /** Takes out who is next: a copy is passed over until its prompt has been read. Null when nobody is ready. */
  next(): Continuation | null {
    for (const [owner, own] of this.#byOwner) {
      const at = own.findIndex(({ copy, of }) => copy === 0 || of.isRead);
      const [chosen] = at < 0 ? [] : own.splice(at, 1);
      if (!chosen) continue;
      this.#byOwner.delete(owner);
      if (own.length > 0) this.#byOwner.set(owner, own);
      return chosen;
    }
    return null;
  }

  /** Takes out those that `leaves` says. */
  remove(leaves: (continuation: Continuation) => boolean): void {
    for (const [owner, own] of this.#byOwner) {
      const stay = own.filter((continuation) => !leaves(continuation));
      if (stay.length > 0) this.#byOwner.set(owner, stay);
      else this.#byOwner.delete(owner);
    }
  }

  /** All who wait, owner by owner. */
  all(): Continuation[] {
    return [...this.#byOwner.values()].flat();
  }
}
