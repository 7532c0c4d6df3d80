import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { CheckpointError, FileError } from "../core/errors.ts";
import { ChatTemplate, chatMl } from "./chat-template.ts";

/** Name of the file in which a model folder keeps its template. */
export const chatTemplateFile = "chat_template.jinja";

/**
 * The chat template of a model folder: `chat_template.jinja`, or the one in `tokenizer_config.json`, as older folders
 * have it. Null where there is neither.
 *
 * @throws {DataError} when it is not valid Jinja.
 * @throws {CheckpointError} when `tokenizer_config.json` is damaged.
 */
export async function readChatTemplate(folder: string): Promise<ChatTemplate | null> {
  const own = await readIfThere(join(folder, chatTemplateFile));
  if (own !== null) return new ChatTemplate(own, join(folder, chatTemplateFile));
  const path = join(folder, "tokenizer_config.json");
  const source = templateIn(path, await readIfThere(path));
  return source === null ? null : new ChatTemplate(source, path);
}

/**
 * The template that a setting names: `chatml`, or the path of a file with one.
 *
 * @throws {FileError} when there is no such file.
 * @throws {DataError} when it is not valid Jinja.
 */
export async function namedChatTemplate(name: string): Promise<ChatTemplate> {
  if (name === "chatml") return new ChatTemplate(chatMl, "chatml");
  const source = await readIfThere(name);
  if (source === null) {
    throw new FileError(`chat template: there is no file ${name}; give the path of a Jinja file, or "chatml"`);
  }
  return new ChatTemplate(source, name);
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}

/** Newer folders may have a list of named templates; the one called `default` is for chats. */
function templateIn(path: string, config: string | null): string | null {
  if (config === null) return null;
  const template = parse(path, config).chat_template;
  if (typeof template === "string") return template;
  if (!Array.isArray(template)) return null;
  const named = template.find((entry: { name?: unknown }) => entry?.name === "default") as { template?: unknown };
  return typeof named?.template === "string" ? named.template : null;
}

function parse(path: string, text: string): { chat_template?: unknown } {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : {};
  } catch (error) {
    throw new CheckpointError(`${path}: is not valid JSON; it is damaged, write or fetch it again`, { cause: error });
  }
}
