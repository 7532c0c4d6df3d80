import { DataError, SettingsError } from "../core/errors.ts";
import { AddedTokenMatcher, specialToken } from "./added-token.ts";
import { byteLevelAlphabet, bytesOfSpelling } from "./byte-alphabet.ts";
import { ByteLevelBpe } from "./byte-level-bpe.ts";
import { Gpt2Words } from "./gpt2-words.ts";
import { PairIndex, PairQueue } from "./pair-index.ts";
import type { TokenRoles } from "./tokenizer.ts";
import { WordTable } from "./word-table.ts";

/** What a byte-level BPE is trained to be. */
export interface BpeTrainingOptions {
  /** Tokens in all, the 256 bytes and the special tokens included. */
  readonly vocabularySize: number;
  /** Pairs that occur less often are not merged; the vocabulary may then stay smaller. 2 when left out. */
  readonly minFrequency?: number;
  /** Tokens that take the last ids. Their text separates words and is not learnt. `<|endoftext|>` when left out. */
  readonly specialTokens?: readonly string[];
}

const byteCount = 256;
const largestVocabulary = 2 ** 20;

/**
 * Learns a byte-level BPE from text that is handed over piece by piece; only distinct words are kept in memory.
 *
 * The most frequent pair of adjacent tokens is merged first; among equally frequent pairs the one whose left token has
 * the lowest id, then whose right token has (the rule of Hugging Face's trainer). Ids: the 256 bytes as in GPT-2, merged
 * tokens in the order in which they were learnt, special tokens.
 *
 * @see Sennrich et al. (2016), algorithm 1, arXiv:1508.07909; Radford et al. (2019), section 2.2, for the bytes.
 */
export class ByteLevelBpeTrainer {
  readonly #options: Required<BpeTrainingOptions>;
  readonly #preTokenizer = new Gpt2Words();
  readonly #specialTokens: AddedTokenMatcher;
  readonly #words = new WordTable();
  #counts = new Float64Array(1 << 10);

  /**
   * @throws {SettingsError} when the vocabulary cannot hold the bytes and the special tokens.
   */
  constructor(options: BpeTrainingOptions) {
    this.#options = { minFrequency: 2, specialTokens: ["<|endoftext|>"], ...options };
    checkOptions(this.#options);
    this.#specialTokens = new AddedTokenMatcher(this.#options.specialTokens.map(specialToken));
  }

  /** Counts the words of a text, or of a part of it that ends at a {@link ByteLevelBpeTrainer.cutPoint}. */
  add(text: string): void {
    for (const part of this.#specialTokens.split(text)) {
      if (typeof part === "number") continue;
      const scanner = this.#preTokenizer.scan(part);
      const { bytes } = scanner;
      while (scanner.next()) this.#count(this.#words.indexOf(bytes, scanner.start, scanner.end));
    }
  }

  /** As {@link Tokenizer.cutPoint}. */
  cutPoint(text: string): number {
    return this.#preTokenizer.cutPoint(text);
  }

  /**
   * Learns the merges from all text added so far.
   *
   * @throws {DataError} when no text was added.
   */
  train(): ByteLevelBpe {
    if (this.#words.size === 0) {
      throw new DataError("tokenizer training: there is no text; give at least one text that is not empty");
    }
    const { vocabularySize, minFrequency, specialTokens } = this.#options;
    const learner = new MergeLearner(this.#words, this.#counts);
    learner.learn(vocabularySize - specialTokens.length, minFrequency);
    const added = specialTokens.map((content, i) => specialToken(content, learner.ids.size + i));
    return new ByteLevelBpe({
      vocabulary: new Map([...learner.ids, ...added.map(({ content, id }) => [content, id] as const)]),
      merges: learner.merges,
      addedTokens: added,
      roles: defaultRoles(specialTokens),
    });
  }

  #count(word: number): void {
    if (word >= this.#counts.length) {
      const counts = new Float64Array(this.#counts.length * 2);
      counts.set(this.#counts);
      this.#counts = counts;
    }
    this.#counts[word]! += 1;
  }
}

/**
 * A byte-level BPE learnt from texts; see {@link ByteLevelBpeTrainer}.
 *
 * @throws {SettingsError} when the vocabulary cannot hold the bytes and the special tokens.
 * @throws {DataError} when there is no text.
 */
export function trainByteLevelBpe(texts: Iterable<string>, options: BpeTrainingOptions): ByteLevelBpe {
  const trainer = new ByteLevelBpeTrainer(options);
  for (const text of texts) trainer.add(text);
  return trainer.train();
}

/** GPT-2 uses one token to begin and end a text and for what it does not know. */
function defaultRoles(specialTokens: readonly string[]): TokenRoles {
  const [first] = specialTokens;
  const token = specialTokens.includes("<|endoftext|>") ? "<|endoftext|>" : first;
  return token === undefined ? {} : { bos: token, eos: token, unk: token };
}

function checkOptions({ vocabularySize, minFrequency, specialTokens }: Required<BpeTrainingOptions>): void {
  const smallest = byteCount + specialTokens.length;
  if (!Number.isInteger(vocabularySize) || vocabularySize < smallest || vocabularySize > largestVocabulary) {
    throw new SettingsError(
      `tokenizer training: the vocabulary size must be an integer from ${smallest} (256 bytes and ` +
        `${specialTokens.length} special tokens) to ${largestVocabulary}, got ${vocabularySize}`,
    );
  }
  if (!(minFrequency >= 1)) {
    throw new SettingsError(`tokenizer training: the minimum frequency must be at least 1, got ${minFrequency}`);
  }
  const unusable = specialTokens.find((token, i) => token === "" || specialTokens.indexOf(token) !== i);
  if (unusable !== undefined) {
    throw new SettingsError(
      `tokenizer training: special token ${JSON.stringify(unusable)} is ${unusable === "" ? "empty" : "given twice"}`,
    );
  }
}

/** Merges pairs in all distinct words at once, keeping counts of pairs up to date instead of counting anew. */
class MergeLearner {
  readonly ids = new Map<string, number>();
  readonly merges: [string, string][] = [];
  readonly #tokens: string[] = [...byteLevelAlphabet];
  readonly #pairs = new PairIndex();
  readonly #queue = new PairQueue(this.#pairs);
  /** Token id at each position of the words laid end to end, −1 inside a merged token. */
  readonly #symbols: Int32Array;
  /** Position of the next and the previous token of the same word, or −1. */
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  /** The word that each position belongs to, and how often each word occurs. */
  readonly #wordOf: Int32Array;
  readonly #wordCounts: Float64Array;

  constructor(words: WordTable, wordCounts: Float64Array) {
    for (const [id, token] of this.#tokens.entries()) this.ids.set(token, id);
    this.#wordCounts = wordCounts;
    this.#symbols = new Int32Array(words.byteLength);
    this.#next = new Int32Array(words.byteLength);
    this.#previous = new Int32Array(words.byteLength);
    this.#wordOf = new Int32Array(words.byteLength);
    this.#layOut(words);
  }

  learn(vocabularySize: number, minFrequency: number): void {
    for (let pair = 0; pair < this.#pairs.size; pair++) this.#queue.push(pair);
    while (this.ids.size < vocabularySize) {
      const pair = this.#queue.pop(minFrequency);
      if (pair < 0) return;
      this.#merge(pair);
    }
  }

  #layOut(words: WordTable): void {
    const idOfByte = new Int32Array(byteCount);
    for (const [id, character] of byteLevelAlphabet.entries()) idOfByte[bytesOfSpelling(character)![0]!] = id;
    let at = 0;
    for (let word = 0; word < words.size; word++) {
      const bytes = words.bytesOf(word);
      for (let i = 0; i < bytes.length; i++, at++) {
        this.#symbols[at] = idOfByte[bytes[i]!]!;
        this.#wordOf[at] = word;
        this.#previous[at] = i === 0 ? -1 : at - 1;
        this.#next[at] = i + 1 === bytes.length ? -1 : at + 1;
        if (i > 0) this.#add(at - 1, at);
      }
    }
  }

  #add(left: number, right: number): number {
    const weight = this.#wordCounts[this.#wordOf[left]!]!;
    return this.#pairs.add(this.#symbols[left]!, this.#symbols[right]!, weight, left);
  }

  #remove(left: number, right: number): void {
    const weight = this.#wordCounts[this.#wordOf[left]!]!;
    this.#pairs.remove(this.#symbols[left]!, this.#symbols[right]!, weight);
  }

  #merge(pair: number): void {
    const left = this.#pairs.left(pair);
    const right = this.#pairs.right(pair);
    const merged = this.#nameMerge(left, right);
    const risen = new Set<number>();
    for (const at of this.#pairs.takePositions(pair)) {
      const second = this.#symbols[at] === left ? this.#next[at]! : -1;
      if (second >= 0 && this.#symbols[second] === right) this.#mergeAt(at, second, merged, risen);
    }
    for (const changed of risen) this.#queue.push(changed);
  }

  #mergeAt(at: number, second: number, merged: number, risen: Set<number>): void {
    const before = this.#previous[at]!;
    const after = this.#next[second]!;
    this.#remove(at, second);
    if (before >= 0) this.#remove(before, at);
    if (after >= 0) this.#remove(second, after);
    this.#symbols[at] = merged;
    this.#symbols[second] = -1;
    this.#next[at] = after;
    if (before >= 0) risen.add(this.#add(before, at));
    if (after >= 0) {
      this.#previous[after] = at;
      risen.add(this.#add(at, after));
    }
  }

  /** Records the merge and returns its token's id; two merges can spell the same token. */
  #nameMerge(left: number, right: number): number {
    const parts: [string, string] = [this.#tokens[left]!, this.#tokens[right]!];
    this.merges.push(parts);
    const token = parts.join("");
    const id = this.ids.get(token) ?? this.ids.size;
    this.ids.set(token, id);
    this.#tokens[id] = token;
    return id;
  }
}
