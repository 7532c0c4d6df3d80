import { folderTexts } from "../files/json-file.ts";
import { readChatTemplate } from "./chat-template-file.ts";
import { ChatEncoder } from "./encode-chat.ts";
import { readFolderIds, withFolderEnd } from "./folder-ids.ts";
import { loadTokenizer } from "./load-tokenizer.ts";

/**
 * What a model's folder reads conversations with: its tokenizer, its chat template, and the ids that its configs name.
 *
 * @throws {CheckpointError} when the tokenizer is missing or a file is damaged.
 * @throws {DataError} when the template is not valid Jinja.
 */
export async function loadChatEncoder(folder: string): Promise<ChatEncoder> {
  const files = folderTexts(folder);
  const tokenizer = await loadTokenizer(folder);
  const ids = await readFolderIds(files, tokenizer);
  return new ChatEncoder(withFolderEnd(tokenizer, ids), await readChatTemplate(files), ids);
}
