import type { CompletionChoice } from "./remote-server.ts";

/** A token that the server read, with its place in the prompt, in code points. */
export interface PromptToken {
  /** As the server writes it; empty where it does not say. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
  readonly value: number | null;
  /** Whether none is likelier. */
  readonly isBest: boolean;
}

/** The tokens of an answer; null where it is only what the server generated, or without any log-probability. */
export function promptTokens({ text, logprobs }: CompletionChoice, prompt: string): PromptToken[] | null {
  const { text_offset: offsets = [], token_logprobs: values = [], top_logprobs: top, tokens: texts } = logprobs ?? {};
  if (values.every((value) => value === null)) return null;
  if (offsets.length === 1 && !text.startsWith(prompt)) return null;
  // Offsets that go on by the first token's length behind the prompt's end count one that is set before the text.
  const [second = 0, last = 0] = [offsets[1], offsets.at(-1)];
  const before = values[0] === null && second > 0 && last - codePointCount(prompt) === second ? second : 0;
  return offsets.map((offset, i) => {
    const value = values[i] ?? null;
    const isBest = value !== null && value >= Math.max(...Object.values(top?.[i] ?? {}));
    return {
      text: texts?.[i] ?? "",
      start: offset - before,
      end: (offsets[i + 1] ?? Number.POSITIVE_INFINITY) - before,
      value,
      isBest,
    };
  });
}

/** Offsets of OpenAI-compatible servers count code points, of which some are two units of a string here. */
export function codePointCount(text: string): number {
  return [...text].length;
}
