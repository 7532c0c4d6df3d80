import { DataError } from "../../core/errors.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import type { AnswerGrammar } from "./answer-grammar.ts";
import { grammarNetwork } from "./grammar-network.ts";
import type { NetworkState } from "./network-state.ts";
import { NetworkReader } from "./network-state.ts";
import { TokenMasks } from "./token-mask.ts";
import { TokenVocabulary } from "./token-vocabulary.ts";

/** Grammars that are kept with their masks, at most: those that were asked for last. */
const mostGrammars = 16;

/** A grammar for one vocabulary. Answers share what is found out about its states. */
export class CompiledGrammar {
  readonly #reader: NetworkReader;
  readonly #masks: TokenMasks;
  readonly #vocabulary: TokenVocabulary;

  /** @throws {SettingsError} as {@link grammarNetwork} does. */
  constructor(grammar: AnswerGrammar, vocabulary: TokenVocabulary) {
    this.#reader = new NetworkReader(grammarNetwork(grammar));
    this.#masks = new TokenMasks(this.#reader, vocabulary.trie, vocabulary.rows);
    this.#vocabulary = vocabulary;
  }

  /** Follows one answer from its beginning; `endTokens` are those that may come once it is complete. */
  begin(endTokens: Iterable<number>): GrammarMatcher {
    const parts = { reader: this.#reader, masks: this.#masks, vocabulary: this.#vocabulary };
    return new GrammarMatcher(parts, new Set(endTokens), this.#reader.start());
  }
}

interface MatcherParts {
  readonly reader: NetworkReader;
  readonly masks: TokenMasks;
  readonly vocabulary: TokenVocabulary;
}

/**
 * What one answer has been so far, and what may come next. For each token: {@link lower} the logits, choose,
 * {@link accept} what was chosen.
 */
export class GrammarMatcher {
  readonly #parts: MatcherParts;
  readonly #endTokens: ReadonlySet<number>;
  #state: NetworkState;
  #isEnded = false;

  /** @internal By {@link CompiledGrammar.begin}. */
  constructor(parts: MatcherParts, endTokens: ReadonlySet<number>, state: NetworkState) {
    this.#parts = parts;
    this.#endTokens = endTokens;
    this.#state = state;
  }

  /** Whether what came so far is a whole answer. Only then may an end token come. */
  get isComplete(): boolean {
    return this.#state.isComplete;
  }

  /** Whether the answer is whole and nothing but an end token may follow, or one has: it can be ended at once. */
  get isFinished(): boolean {
    return this.#isEnded || (this.#state.isComplete && this.#state.places.length === 0);
  }

  /**
   * Works on what {@link allowed} gives, up to a time of `performance.now`; true once that is there. The first mask of a
   * state takes a walk through the vocabulary, which others need not wait for.
   */
  prepare(until: number): boolean {
    return this.#isEnded || this.#parts.masks.find(this.#state, until) !== null;
  }

  /**
   * The tokens that may come next, `[⌈rows / 32⌉]`: bit `token % 32` of entry `token >> 5`.
   *
   * @throws {DataError} when there is none: the vocabulary lacks a byte or character that must come.
   */
  allowed(): Int32Array {
    const { masks, vocabulary } = this.#parts;
    const bits = this.#isEnded ? new Int32Array(Math.ceil(vocabulary.rows / 32)) : masks.of(this.#state).slice();
    const mayEnd = this.#isEnded || this.#state.isComplete;
    for (const token of this.#endTokens) {
      const bit = 1 << (token & 31);
      const word = bits[token >> 5] ?? 0;
      // An end token that is text as well ends the answer wherever it comes.
      bits[token >> 5] = mayEnd ? word | bit : word & ~bit;
    }
    if (!mayEnd && bits.every((word) => word === 0)) {
      throw new DataError(
        "grammar: no token of the model's vocabulary can come next; use a model whose tokens cover all bytes",
      );
    }
    return bits;
  }

  /** Takes away, in place, what a distribution gives to tokens that may not come: their logits become −∞. */
  lower(logits: Float32Array): void {
    const bits = this.allowed();
    for (const [word, some] of bits.entries()) {
      if (some === -1) continue;
      const end = Math.min(32 * word + 32, logits.length);
      for (let token = 32 * word; token < end; token++) {
        if (((some >>> (token & 31)) & 1) === 0) logits[token] = Number.NEGATIVE_INFINITY;
      }
    }
  }

  /**
   * Goes on by a token.
   *
   * @throws {DataError} when it is none of the {@link allowed}.
   */
  accept(token: number): void {
    const isEnd = this.#endTokens.has(token);
    if (isEnd && this.#state.isComplete) {
      this.#isEnded = true;
      return;
    }
    let state: NetworkState | null = this.#isEnded || isEnd ? null : this.#state;
    const bytes = this.#parts.vocabulary.trie.bytesOf(token);
    for (const byte of bytes ?? []) state = state && this.#parts.reader.step(state, byte);
    if (!bytes || !state) throw new DataError(`grammar: token ${token} does not fit here; choose one of the mask`);
    this.#state = state;
  }

  /** The same place in another answer, which goes on by itself. */
  fork(): GrammarMatcher {
    const copy = new GrammarMatcher(this.#parts, this.#endTokens, this.#state);
    copy.#isEnded = this.#isEnded;
    return copy;
  }
}

/**
 * Makes matchers for a model whose logits have so many rows.
 *
 * @param vocabulary - What that takes of the tokenizer; worked out when a matcher is first asked for where it is left out.
 */
export function matchersFor(
  tokenizer: Tokenizer,
  rows: number,
  vocabulary: TokenVocabulary | null = null,
): (grammar: AnswerGrammar, endTokens: Iterable<number>) => GrammarMatcher {
  let compiler: GrammarCompiler | null = null;
  return (grammar, endTokens) => {
    compiler ??= new GrammarCompiler(vocabulary ?? new TokenVocabulary(tokenizer, rows));
    return compiler.compile(grammar).begin(endTokens);
  };
}

/** Compiles grammars for one vocabulary, and keeps those that were asked for last. */
export class GrammarCompiler {
  readonly #vocabulary: TokenVocabulary;
  readonly #kept = new Map<string, CompiledGrammar>();

  constructor(vocabulary: TokenVocabulary) {
    this.#vocabulary = vocabulary;
  }

  /** @throws {SettingsError} as {@link grammarNetwork} does. */
  compile(grammar: AnswerGrammar): CompiledGrammar {
    const key = JSON.stringify(grammar);
    const compiled = this.#kept.get(key) ?? new CompiledGrammar(grammar, this.#vocabulary);
    this.#kept.delete(key);
    this.#kept.set(key, compiled);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > mostGrammars && oldest !== undefined) this.#kept.delete(oldest);
    return compiled;
  }
}
