import { existsSync } from "node:fs";
import { join } from "node:path";
import { isGgufPath } from "../files/gguf-path.ts";
import type { ChatEncoder } from "../text/encode-chat.ts";
import { loadChatEncoder } from "../text/load-chat-encoder.ts";
import { baseOfAdapter, isAdapterFolder } from "./adapter-folder.ts";
import { loadGgufEncoder } from "./gguf/encoder.ts";

/**
 * What a model's folder, or a GGUF file, reads conversations with; of an adapter's folder that has no tokenizer, what its
 * base does.
 *
 * @throws {CheckpointError} when it is missing or damaged.
 */
export async function encoderIn(path: string): Promise<ChatEncoder> {
  if (isGgufPath(path)) return loadGgufEncoder(path);
  const isBare = isAdapterFolder(path) && !existsSync(join(path, "tokenizer.json"));
  return isBare ? encoderIn(await baseOfAdapter(path)) : loadChatEncoder(path);
}
