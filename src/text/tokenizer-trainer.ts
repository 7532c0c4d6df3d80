import { DataError, SettingsError } from "../core/errors.ts";
import type { Steps } from "../core/event-loop.ts";
import { AddedTokenMatcher, specialToken } from "./added-token.ts";
import type { Tokenizer, TokenRoles } from "./tokenizer.ts";

/** Learns a tokenizer from text that is handed over piece by piece. */
export interface TokenizerTrainer {
  /** Takes a text into account; it ends a word. */
  add(text: string): void;
  /**
   * Learns from all text added so far.
   *
   * @throws {DataError} when no text was added.
   */
  train(): Tokenizer;
  /** {@link train} in steps, for learning that others shall not wait for. */
  training(): Steps<Tokenizer>;
}

/** Takes special tokens out of training text: they separate words and are not learnt. */
export class SpecialTokenSplitter {
  readonly tokens: readonly string[];
  readonly #matcher: AddedTokenMatcher;

  /**
   * @throws {SettingsError} when a token is empty or given twice.
   */
  constructor(tokens: readonly string[]) {
    const unusable = tokens.find((token, i) => token === "" || tokens.indexOf(token) !== i);
    if (unusable !== undefined) {
      const problem = unusable === "" ? "empty; give it a text such as <|user|>" : "given twice; leave one out";
      throw new SettingsError(`tokenizer training: special token ${JSON.stringify(unusable)} is ${problem}`);
    }
    this.tokens = tokens;
    this.#matcher = new AddedTokenMatcher(tokens.map(specialToken));
  }

  /** What lies between special tokens; none is empty. */
  parts(text: string): string[] {
    return this.#matcher.split(text).filter((part) => typeof part === "string");
  }

  /** What tokens are for when nobody says it: `<|endoftext|>`, or else the first, begins and ends a text. */
  roles(): TokenRoles {
    const token = this.tokens.includes("<|endoftext|>") ? "<|endoftext|>" : this.tokens[0];
    return token === undefined ? {} : { bos: token, eos: token };
  }
}

const largestVocabulary = 2 ** 20;

/**
 * Makes sure that a vocabulary of this size can be learnt.
 *
 * @param smallest - Tokens that any such vocabulary has, which `parts` names.
 * @throws {SettingsError} when it is too small, too large or no integer.
 */
export function checkTrainingSize(vocabularySize: number, smallest: number, parts: string): void {
  if (Number.isInteger(vocabularySize) && vocabularySize >= smallest && vocabularySize <= largestVocabulary) return;
  throw new SettingsError(
    `tokenizer training: the vocabulary size must be an integer from ${smallest} (${parts}) to ${largestVocabulary}, ` +
      `got ${vocabularySize}`,
  );
}

/**
 * Makes sure that the number of occurrences that a pair needs makes sense.
 *
 * @throws {SettingsError} when it is less than 1.
 */
export function checkMinFrequency(minFrequency: number): void {
  if (minFrequency >= 1) return;
  throw new SettingsError(`tokenizer training: the minimum frequency must be at least 1, got ${minFrequency}`);
}

/** The error for training on nothing. */
export function noText(): DataError {
  return new DataError("tokenizer training: there is no text; give at least one text that is not empty");
}
