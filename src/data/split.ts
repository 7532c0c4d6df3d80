import { createHash } from "node:crypto";

/** What a first reading of a corpus finds out: two parallel lists with an entry for each document. */
export interface CorpusScan {
  /** UTF-16 units. */
  readonly lengths: number[];
  /** 32 bits that depend on the text and the split's seed, see {@link documentHash}. */
  readonly hashes: number[];
}

/**
 * How many UTF-16 units from its start on a document gives to training; the rest is validation. 0 gives the whole
 * document to validation, Infinity none of it.
 */
export type Split = (document: number) => number;

/**
 * Where a document falls, by its first piece of text alone: a document stays on its side when others come and go,
 * wherever its file is moved, and copies of it fall on the same side.
 */
export function documentHash(seed: number, firstPiece: string): number {
  return createHash("sha256").update(`${seed}:${firstPiece}`).digest().readUInt32LE(0);
}

/**
 * Divides a corpus so that about `fraction` of its text is for validation: whole documents, in the order of their
 * hashes. Where documents are too few or too large for that (no choice comes within half of the aim), the last
 * `fraction` of every document; so also the last tenth of a single one.
 *
 * `capLength` limits the aim, in UTF-16 units.
 */
export function planSplit(scan: CorpusScan, fraction: number, capLength = Number.POSITIVE_INFINITY): Split {
  if (fraction === 0) return () => Number.POSITIVE_INFINITY;
  const { lengths } = scan;
  const total = lengths.reduce((a, b) => a + b, 0);
  const aim = Math.min(total * fraction, capLength);
  const held = chooseDocuments(scan, aim);
  if (held) return (document) => (held[document] === 1 ? 0 : Number.POSITIVE_INFINITY);
  return (document) => {
    const length = lengths[document] ?? 0;
    return length - Math.ceil((length * aim) / total);
  };
}

/** 1 for each document held out, or null when the aim cannot be met. */
function chooseDocuments({ lengths, hashes }: CorpusScan, aim: number): Uint8Array | null {
  const order = BigUint64Array.from(hashes, (hash, index) => (BigInt(hash) << 32n) | BigInt(index)).sort();
  const indices = Array.from(order, (entry) => Number(entry & 0xffffffffn));
  const held = new Uint8Array(lengths.length);
  let taken = 0;
  for (let start = 0, end = 0; start < indices.length && taken < aim; start = end) {
    const hash = hashes[indices[start]!];
    let length = 0;
    for (end = start; end < indices.length && hashes[indices[end]!] === hash; end++) length += lengths[indices[end]!]!;
    if (taken + length > aim * 1.5) continue;
    for (const index of indices.slice(start, end)) held[index] = 1;
    taken += length;
  }
  return taken >= aim / 2 ? held : null;
}
