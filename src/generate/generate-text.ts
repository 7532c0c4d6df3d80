import type { LanguageModel } from "../models/language-model.ts";
import { continuationDecoder } from "../text/continuation-decoder.ts";
import type { StreamDecoder, Tokenizer } from "../text/tokenizer.ts";
import type { FinishReason, GenerationOptions } from "./generate.ts";
import { checkPrompts, generate } from "./generate.ts";
import { checkTextOptions } from "./generation-settings.ts";
import { StopStrings } from "./stop-strings.ts";

/** What to generate, with ends that are given as text. */
export interface TextGenerationOptions extends Omit<GenerationOptions, "shouldStop" | "tokenizer"> {
  /** Text that ends a sequence; it is not shown. */
  readonly stop?: readonly string[];
  /**
   * Whether what is generated is a text of its own, such as the answer to a question, rather than the rest of its
   * prompt's: a space that its first token has is then not shown where the tokenizer drops the first of a text.
   */
  readonly isAnswer?: boolean;
}

/** A piece of one sequence's text. */
export interface TextPiece {
  /** Which prompt it continues. */
  readonly index: number;
  /** May be empty, while a character or a stop string is incomplete. */
  readonly text: string;
  /** Set on the last piece of a sequence. */
  readonly finish: FinishReason | null;
}

interface Writer {
  readonly decoder: StreamDecoder;
  readonly stop: StopStrings;
  ready: string;
}

/**
 * Continues prompts as text, piece by piece as it becomes certain: no character and no stop string is ever split. End
 * tokens are not part of the text.
 *
 * @throws {SettingsError} as {@link generate} does.
 */
export async function* generateText(
  model: LanguageModel,
  tokenizer: Tokenizer,
  prompts: readonly Int32Array[],
  options: TextGenerationOptions,
): AsyncGenerator<TextPiece, void, undefined> {
  checkTextOptions(options);
  checkPrompts(model, prompts);
  const { stop = [], isAnswer = false, ...given } = options;
  const writers = prompts.map((prompt): Writer => {
    const decoder = isAnswer ? tokenizer.streamDecoder() : continuationDecoder(tokenizer, prompt);
    return { decoder, stop: new StopStrings(stop), ready: "" };
  });
  const shouldStop = (index: number, token: number): boolean => {
    const writer = writers[index] as Writer;
    writer.ready = writer.stop.push(writer.decoder.push(token));
    return writer.stop.stopped;
  };
  for await (const { index, token, finish } of generate(model, prompts, { ...given, tokenizer, shouldStop })) {
    const writer = writers[index] as Writer;
    // An end token is not asked about, so nothing of it is ready.
    const text = given.endTokens?.has(token) ? "" : writer.ready;
    yield { index, text: finish ? text + close(writer) : text, finish };
  }
}

function close({ decoder, stop }: Writer): string {
  return stop.push(decoder.flush()) + stop.flush();
}
