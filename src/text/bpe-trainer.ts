import type { Steps } from "../core/event-loop.ts";
import { inOneGo } from "../core/event-loop.ts";
import { specialToken } from "./added-token.ts";
import { byteLevelAlphabet, bytesOfSpelling } from "./byte-alphabet.ts";
import { ByteLevelBpe } from "./byte-level-bpe.ts";
import { Gpt2Words } from "./gpt2-words.ts";
import { MergeLearner } from "./merge-learner.ts";
import type { TokenizerTrainer } from "./tokenizer-trainer.ts";
import { checkMinFrequency, checkTrainingSize, noText, SpecialTokenSplitter } from "./tokenizer-trainer.ts";
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

/** Id of each byte in GPT-2's vocabulary. */
const idOfByte = new Uint8Array(256);
for (const [id, character] of byteLevelAlphabet.entries()) idOfByte[bytesOfSpelling(character)![0]!] = id;
const toId = (byte: number): number => idOfByte[byte]!;

/**
 * Learns a byte-level BPE from text that is handed over piece by piece; only distinct words are kept in memory.
 * What is merged first, and what breaks ties, is {@link MergeLearner}'s affair. Ids: the 256 bytes as in GPT-2, merged
 * tokens in the order in which they were learnt, special tokens.
 *
 * @see Radford et al. (2019), "Language models are unsupervised multitask learners", section 2.2.
 */
export class ByteLevelBpeTrainer implements TokenizerTrainer {
  readonly #options: Required<BpeTrainingOptions>;
  readonly #preTokenizer = new Gpt2Words();
  readonly #splitter: SpecialTokenSplitter;
  readonly #words = new WordTable();
  #counts = new Float64Array(1 << 10);

  /**
   * @throws {SettingsError} when the vocabulary cannot hold the bytes and the special tokens.
   */
  constructor(options: BpeTrainingOptions) {
    this.#options = { minFrequency: 2, specialTokens: ["<|endoftext|>"], ...options };
    const { vocabularySize, minFrequency, specialTokens } = this.#options;
    this.#splitter = new SpecialTokenSplitter(specialTokens);
    const smallest = byteLevelAlphabet.length + specialTokens.length;
    checkTrainingSize(vocabularySize, smallest, `256 bytes and ${specialTokens.length} special tokens`);
    checkMinFrequency(minFrequency);
  }

  add(text: string): void {
    for (const part of this.#splitter.parts(text)) {
      const scanner = this.#preTokenizer.scan(part);
      const { bytes } = scanner;
      while (scanner.next()) this.#count(this.#words.indexOf(bytes, scanner.start, scanner.end));
    }
  }

  /**
   * Learns the merges from all text added so far.
   *
   * @throws {DataError} when no text was added.
   */
  train(): ByteLevelBpe {
    return inOneGo(this.training());
  }

  *training(): Steps<ByteLevelBpe> {
    if (this.#words.size === 0) throw noText();
    const { vocabularySize, minFrequency, specialTokens } = this.#options;
    const learner = new MergeLearner(byteLevelAlphabet, (left, right) => left + right);
    for (let word = 0; word < this.#words.size; word++) {
      learner.addWord(this.#words.bytesOf(word).map(toId), this.#counts[word]!);
      if (word % 1024 === 0) yield;
    }
    yield* learner.learning(vocabularySize - specialTokens.length, minFrequency);
    const added = specialTokens.map((content, i) => specialToken(content, learner.ids.size + i));
    const { bos } = this.#splitter.roles();
    return new ByteLevelBpe({
      vocabulary: new Map([...learner.ids, ...added.map(({ content, id }) => [content, id] as const)]),
      merges: learner.merges,
      addedTokens: added,
      // GPT-2 uses one token to begin and end a text and for what it does not know.
      roles: bos === undefined ? {} : { bos, eos: bos, unk: bos },
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
