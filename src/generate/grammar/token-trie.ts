/**
 * The tokens of a vocabulary as a tree of their bytes, in the order in which a depth-first walk comes by: everything below
 * a node stands right behind it.
 */
export class TokenTrie {
  /** The byte that leads to each node. */
  readonly bytes: Uint8Array;
  /** Bytes from the root, that byte included. */
  readonly depths: Uint16Array;
  /** The first node that is not below each. */
  readonly ends: Int32Array;
  /** Tokens that end at node i are `tokens[starts[i] … starts[i + 1])`. */
  readonly starts: Int32Array;
  readonly tokens: Int32Array;
  /** Bytes of the longest token. */
  readonly deepest: number;
  readonly #bytesOf: readonly (Uint8Array | null)[];

  /** @param bytesOf - Of each token; null and empty ones are never read. */
  constructor(bytesOf: readonly (Uint8Array | null)[]) {
    this.#bytesOf = bytesOf;
    const ids = [...bytesOf.keys()].filter((id) => (bytesOf[id]?.length ?? 0) > 0);
    const of = (id: number): Uint8Array => bytesOf[id] as Uint8Array;
    ids.sort((a, b) => compare(of(a), of(b)) || a - b);
    const [bytes, depths, starts]: [number[], number[], number[]] = [[], [], []];
    const [ends, tokens, open]: [number[], number[], number[]] = [[], [], []];
    let before: Uint8Array = new Uint8Array(0);
    let deepest = 0;
    for (const id of ids) {
      const own = of(id);
      const shared = sharedLength(before, own);
      for (const node of open.splice(shared)) ends[node] = bytes.length;
      for (let depth = shared; depth < own.length; depth++) {
        open.push(bytes.length);
        bytes.push(own[depth] as number);
        depths.push(depth + 1);
        starts.push(tokens.length);
      }
      tokens.push(id);
      deepest = Math.max(deepest, own.length);
      before = own;
    }
    for (const node of open) ends[node] = bytes.length;
    starts.push(tokens.length);
    this.bytes = Uint8Array.from(bytes);
    this.depths = Uint16Array.from(depths);
    this.ends = Int32Array.from(ends);
    this.starts = Int32Array.from(starts);
    this.tokens = Int32Array.from(tokens);
    this.deepest = deepest;
  }

  /** Nodes below the root. */
  get size(): number {
    return this.bytes.length;
  }

  /** The bytes of a token; null for one that is no text. */
  bytesOf(token: number): Uint8Array | null {
    const bytes = this.#bytesOf[token];
    return bytes && bytes.length > 0 ? bytes : null;
  }
}

function compare(a: Uint8Array, b: Uint8Array): number {
  const shared = sharedLength(a, b);
  return shared < a.length && shared < b.length ? (a[shared] as number) - (b[shared] as number) : a.length - b.length;
}

function sharedLength(a: Uint8Array, b: Uint8Array): number {
  let shared = 0;
  while (shared < a.length && shared < b.length && a[shared] === b[shared]) shared++;
  return shared;
}
