import type { DecodeOptions, StreamDecoder, Tokenizer } from "./tokenizer.ts";

/**
 * A decoder for what follows a prompt: the prompt's text and what this gives are the text of all ids. A tokenizer that
 * drops the space with which a text begins, as Llama 2's does, keeps it here; where nothing but special tokens comes
 * before, a text begins.
 */
export function continuationDecoder(
  tokenizer: Tokenizer,
  prompt: Iterable<number>,
  options: DecodeOptions = {},
): StreamDecoder {
  const special = new Set(tokenizer.specialTokens.values());
  const decoder = tokenizer.streamDecoder(options);
  for (const id of prompt) if (!special.has(id)) decoder.push(id);
  return decoder;
}

/** Text of ids that follow a prompt, as {@link continuationDecoder} gives it. */
export function decodeContinuation(
  tokenizer: Tokenizer,
  prompt: Iterable<number>,
  ids: Iterable<number>,
  options: DecodeOptions = {},
): string {
  const decoder = continuationDecoder(tokenizer, prompt, options);
  let text = "";
  for (const id of ids) text += decoder.push(id);
  return text + decoder.flush();
}
