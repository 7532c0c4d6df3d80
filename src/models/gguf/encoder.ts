import { openGguf } from "../../checkpoint/gguf.ts";
import { chatTemplateFromMetadata, endsFromMetadata, tokenizerFromMetadata } from "../../checkpoint/gguf-tokenizer.ts";
import { ChatTemplate } from "../../text/chat-template.ts";
import { ChatEncoder } from "../../text/encode-chat.ts";

/**
 * What a GGUF file reads conversations with: its tokenizer, its chat template, and the ids at which it stops.
 *
 * @throws {UnsupportedError} when its tokenizer is of a kind that is not known here.
 * @throws {CheckpointError} when the file is damaged, or parts of the tokenizer are missing.
 * @throws {DataError} when the template is not valid Jinja.
 */
export async function loadGgufEncoder(path: string): Promise<ChatEncoder> {
  const file = await openGguf(path);
  try {
    const tokenizer = tokenizerFromMetadata(path, file.metadata);
    const source = chatTemplateFromMetadata(file.metadata);
    const template = source === null ? null : new ChatTemplate(source, path);
    const { bos } = tokenizer.roles;
    const beginOfText = bos === undefined ? null : tokenizer.idOf(bos);
    return new ChatEncoder(tokenizer, template, { beginOfText, ends: [...endsFromMetadata(file.metadata, tokenizer)] });
  } finally {
    await file.close();
  }
}
