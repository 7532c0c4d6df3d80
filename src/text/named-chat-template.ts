import { FileError } from "../core/errors.ts";
import { readTextIfThere } from "../files/json-file.ts";
import { ChatTemplate, chatMl } from "./chat-template.ts";

/**
 * The template that a setting names: `chatml`, or the path of a file with one.
 *
 * @throws {FileError} when there is no such file.
 * @throws {DataError} when it is not valid Jinja.
 */
export async function namedChatTemplate(name: string): Promise<ChatTemplate> {
  if (name === "chatml") return new ChatTemplate(chatMl, "chatml");
  const source = await readTextIfThere(name);
  if (source === null) {
    throw new FileError(`chat template: there is no file ${name}; give the path of a Jinja file, or "chatml"`);
  }
  return new ChatTemplate(source, name);
}
