import type { Decoder } from "./decoder.ts";

/** Tokens in common that are worth copying: fewer are read again. */
export const leastPrefix = 16;

interface Slot {
  readonly index: number;
  /** What it has read, also when nobody holds it any more. */
  tokens: readonly number[];
  owner: string;
  isBusy: boolean;
  /** When it was last taken or given back. */
  used: number;
}

/** Who holds which slot, and what slots have read: a prompt that begins like it need not be read again. */
export class SlotTable {
  readonly #decoder: Decoder;
  readonly #slots: readonly Slot[];
  #clock = 0;

  constructor(decoder: Decoder, count: number) {
    this.#decoder = decoder;
    this.#slots = Array.from({ length: count }, (_, index) => ({
      ...{ index, tokens: [], owner: "", isBusy: false, used: 0 },
    }));
  }

  /** Slots that somebody holds. */
  get busy(): number {
    return this.#slots.filter(({ isBusy }) => isBusy).length;
  }

  /** Whether one is free. */
  get hasFree(): boolean {
    return this.busy < this.#slots.length;
  }

  /**
   * Takes a free slot for a sequence: of those that its owner used, one with the longest beginning in common, else the
   * one unused longest. What a slot has in common with it is copied where another sequence still needs that slot.
   *
   * @param tokens - Of the sequence; the slot's record of what it reads.
   * @param most - Tokens that may be taken as read.
   */
  take(owner: string, tokens: readonly number[], most: number): { slot: number; known: number } {
    const { source, known } = this.#likest(owner, tokens, most);
    const slot = source && !source.isBusy && 2 * known >= source.tokens.length ? source : this.#oldest(source);
    if (source && source !== slot) this.#decoder.fork(source.index, slot.index, known);
    this.#decoder.truncate(slot.index, known);
    slot.tokens = tokens;
    slot.owner = owner;
    slot.isBusy = true;
    slot.used = ++this.#clock;
    return { slot: slot.index, known };
  }

  /** Gives a slot back. It keeps what it has read. */
  giveBack(index: number): void {
    const slot = this.#slots[index];
    if (!slot) return;
    slot.tokens = slot.tokens.slice(0, this.#decoder.length(index));
    slot.isBusy = false;
    slot.used = ++this.#clock;
  }

  #likest(owner: string, tokens: readonly number[], most: number): { source: Slot | null; known: number } {
    let [source, known]: [Slot | null, number] = [null, 0];
    for (const slot of this.#slots) {
      if (slot.owner !== owner) continue;
      const limit = Math.min(most, this.#decoder.length(slot.index));
      let same = 0;
      while (same < limit && slot.tokens[same] === tokens[same]) same++;
      if (same >= leastPrefix && same > known) [source, known] = [slot, same];
    }
    return { source, known };
  }

  /** The free slot that was unused longest, another than `spared` if there is one. */
  #oldest(spared: Slot | null): Slot {
    const free = this.#slots.filter(({ isBusy }) => !isBusy).sort((a, b) => a.used - b.used);
    const slot = free.find((candidate) => candidate !== spared) ?? free[0];
    if (!slot) throw new Error("internal: a slot was taken where none is free");
    return slot;
  }
}
