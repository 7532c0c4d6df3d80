import type { Json } from "../files/json.ts";
import { isJsonObject } from "../files/json.ts";
import type { TextFiles } from "../files/text-files.ts";
import { readJsonOf } from "../files/text-files.ts";
import { ChatTemplate } from "./chat-template.ts";

/** Name of the file in which a model folder keeps its template. */
export const chatTemplateFile = "chat_template.jinja";

/**
 * The chat template among a model's files: `chat_template.jinja`, or the one in `tokenizer_config.json`, as older folders
 * have it. Null where there is neither.
 *
 * @throws {DataError} when it is not valid Jinja.
 * @throws {CheckpointError} when `tokenizer_config.json` is damaged.
 */
export async function readChatTemplate(files: TextFiles): Promise<ChatTemplate | null> {
  const own = await files.read(chatTemplateFile);
  if (own !== null) return new ChatTemplate(own, files.where(chatTemplateFile));
  const config = (await readJsonOf(files, "tokenizer_config.json")) ?? {};
  const source = templateIn(config.chat_template);
  return source === null ? null : new ChatTemplate(source, files.where("tokenizer_config.json"));
}

/** Newer folders may have a list of named templates; the one called `default` is for chats. */
function templateIn(template: Json | undefined): string | null {
  if (typeof template === "string") return template;
  if (!Array.isArray(template)) return null;
  const named = template.find((entry: Json) => isJsonObject(entry) && entry.name === "default");
  return isJsonObject(named) && typeof named.template === "string" ? named.template : null;
}
