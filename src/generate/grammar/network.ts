import { SettingsError } from "../../core/errors.ts";

/** Nodes of one grammar, at most; some hundred bytes each. */
const mostNodes = 50_000;
/** Nodes that are reached for nothing from all nodes together, at most: a thousand optional parts in a row have a million. */
const mostReached = 500_000;

/** A byte that leads on. */
export interface ByteEdge {
  readonly first: number;
  readonly last: number;
  readonly to: number;
}

/** What leads on from a node by reading all that a rule stands for. */
export interface RuleEdge {
  readonly rule: number;
  readonly to: number;
}

interface Rule {
  readonly start: number;
  readonly end: number;
}

interface Node {
  readonly bytes: ByteEdge[];
  readonly free: number[];
  readonly rules: RuleEdge[];
}

/** What can be done at a node once it is reached, edges that cost nothing included. */
export interface Reached {
  /** Nodes that bytes lead on from. */
  readonly readers: readonly number[];
  readonly rules: readonly RuleEdge[];
  /** Whether the node's rule may end here. */
  readonly isEnd: boolean;
}

/**
 * A recursive transition network: nodes and edges over bytes, where an edge may also stand for a whole rule. Rule 0 is
 * the text as a whole; of the others none may be empty or begin with itself.
 *
 * @see Woods (1970), "Transition network grammars for natural language analysis", CACM 13(10).
 */
export class Network {
  readonly #nodes: Node[] = [];
  readonly #rules: Rule[] = [];
  readonly #ends = new Set<number>();
  readonly #reached: Reached[] = [];
  #order: Int32Array = new Int32Array(0);
  #reachedCount = 0;

  /** A new node. @throws {SettingsError} when there are too many. */
  node(): number {
    if (this.#nodes.length >= mostNodes) {
      throw new SettingsError(
        `grammar: has more than ${mostNodes} states; make lengths, counts or the schema itself smaller`,
      );
    }
    this.#nodes.push({ bytes: [], free: [], rules: [] });
    return this.#nodes.length - 1;
  }

  /** A new rule, of which both ends are new nodes. */
  rule(): { readonly index: number; readonly start: number; readonly end: number } {
    const [start, end] = [this.node(), this.node()];
    this.#rules.push({ start, end });
    this.#ends.add(end);
    return { index: this.#rules.length - 1, start, end };
  }

  /** An edge for the bytes `first` … `last`. */
  byte(from: number, first: number, last: number, to: number): void {
    this.#at(from).bytes.push({ first, last, to });
  }

  /** An edge that costs nothing. */
  free(from: number, to: number): void {
    this.#at(from).free.push(to);
  }

  /** An edge for all that a rule stands for. */
  call(from: number, rule: number, to: number): void {
    this.#at(from).rules.push({ rule, to });
  }

  /** Edges for a text → the node behind it. */
  text(from: number, text: string): number {
    let at = from;
    for (const byte of new TextEncoder().encode(text)) {
      const next = this.node();
      this.byte(at, byte, byte, next);
      at = next;
    }
    return at;
  }

  /** Where the whole text begins. */
  get start(): number {
    return this.#rules[0]?.start ?? 0;
  }

  get nodeCount(): number {
    return this.#nodes.length;
  }

  /** The edges over bytes at a node. */
  bytesAt(node: number): readonly ByteEdge[] {
    return this.#at(node).bytes;
  }

  /** What can be done at a node. */
  reached(node: number): Reached {
    const known = this.#reached[node];
    if (known) return known;
    const found = this.#close(node);
    this.#reached[node] = found;
    return found;
  }

  /** Rules in an order in which one that another may begin with comes behind it. */
  get order(): Int32Array {
    return this.#order;
  }

  /** Where a rule begins. */
  startOf(rule: number): number {
    return this.#rules[rule]?.start ?? 0;
  }

  /**
   * Makes sure of the whole, and takes away what leads nowhere: wherever one comes afterwards, there is a way to the end.
   *
   * @throws {SettingsError} when nothing at all fits, or a rule begins with itself.
   */
  seal(): void {
    const useful = this.#usefulNodes();
    if (!useful.has(this.start)) {
      throw new SettingsError("grammar: no text fits it; look for demands that exclude each other");
    }
    const isUseful = ({ to }: { readonly to: number }): boolean => useful.has(to);
    const isWay = (edge: RuleEdge): boolean => isUseful(edge) && useful.has(this.startOf(edge.rule));
    if (useful.size < this.#nodes.length) {
      for (const [index, { bytes, free, rules }] of this.#nodes.entries()) {
        if (bytes.every(isUseful) && free.every((to) => useful.has(to)) && rules.every(isWay)) continue;
        this.#nodes[index] = {
          bytes: bytes.filter(isUseful),
          free: free.filter((to) => useful.has(to)),
          rules: rules.filter(isWay),
        };
      }
    }
    for (let node = 0; node < this.#nodes.length; node++) if (useful.has(node)) this.reached(node);
    this.#order = this.#rulesInOrder();
  }

  #at(node: number): Node {
    const found = this.#nodes[node];
    if (!found) throw new Error(`internal: a grammar has no node ${node}`);
    return found;
  }

  #close(node: number): Reached {
    const seen = new Set([node]);
    for (const one of seen) for (const to of this.#at(one).free) seen.add(to);
    const nodes = [...seen];
    this.#reachedCount += nodes.length;
    if (this.#reachedCount > mostReached) {
      throw new SettingsError("grammar: has too many optional parts in a row; make counts or lengths smaller");
    }
    return {
      readers: nodes.filter((one) => this.#at(one).bytes.length > 0),
      rules: nodes.flatMap((one) => this.#at(one).rules),
      isEnd: nodes.some((one) => this.#ends.has(one)),
    };
  }

  /** Nodes from which the end of their rule can be reached, found backwards from there. */
  #usefulNodes(): Set<number> {
    const { before, callers } = this.#backwards();
    const ruleOfStart = new Map(this.#rules.map(({ start }, rule) => [start, rule]));
    const useful = new Set<number>();
    const ready = this.#rules.map(({ end }) => end);
    for (let node = ready.pop(); node !== undefined; node = ready.pop()) {
      if (useful.has(node)) continue;
      useful.add(node);
      ready.push(...(before[node] ?? []));
      // Calls of a rule lead on once there is a way through it.
      const rule = ruleOfStart.get(node);
      for (const [from, to] of (rule === undefined ? [] : callers[rule]) ?? []) {
        before[to]?.push(from);
        if (useful.has(to)) ready.push(from);
      }
    }
    return useful;
  }

  /** Where edges come from, by the node that they lead to; those that call a rule, by the rule. */
  #backwards(): { before: number[][]; callers: (readonly [from: number, to: number])[][] } {
    const before: number[][] = this.#nodes.map(() => []);
    const callers: (readonly [from: number, to: number])[][] = this.#rules.map(() => []);
    for (const [from, { bytes, free, rules }] of this.#nodes.entries()) {
      for (const to of [...bytes.map((edge) => edge.to), ...free]) before[to]?.push(from);
      for (const { rule, to } of rules) callers[rule]?.push([from, to]);
    }
    return { before, callers };
  }

  #rulesInOrder(): Int32Array {
    const order: number[] = [];
    const state = new Uint8Array(this.#rules.length); // 1 while what it begins with is looked at, 2 behind it
    const stack: [rule: number, next: number[]][] = [];
    const open = (rule: number): void => {
      if (state[rule] === 2) return;
      if (state[rule] === 1) {
        throw new SettingsError(
          "grammar: a rule begins with itself, so that it never ends; change the $ref that does so",
        );
      }
      state[rule] = 1;
      stack.push([rule, this.reached(this.startOf(rule)).rules.map((edge) => edge.rule)]);
    };
    for (let rule = 0; rule < this.#rules.length; rule++) {
      open(rule);
      for (let top = stack.at(-1); top; top = stack.at(-1)) {
        const next = top[1].pop();
        if (next !== undefined) open(next);
        else {
          state[top[0]] = 2;
          order.push(top[0]);
          stack.pop();
        }
      }
    }
    return Int32Array.from(order.reverse());
  }
}
