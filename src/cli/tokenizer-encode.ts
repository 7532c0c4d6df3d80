import { z } from "zod";
import { SettingsError } from "../core/errors.ts";
import { loadTokenizer } from "../text/load-tokenizer.ts";
import type { Io } from "./command.ts";
import { defineCommand } from "./command.ts";
import { readInput, readTextFile } from "./read-input.ts";

/** `stemma tokenizer encode`: token ids of a text. */
export const tokenizerEncode = defineCommand({
  name: "tokenizer encode",
  summary: "turn text into token ids",
  group: "Data and files",
  settings: z.object({
    tokenizer: z.string().min(1).describe("folder of a tokenizer or model").meta({ placeholder: "folder" }),
    text: z.string().optional().describe("text to encode; without --text and --input, standard input is read"),
    input: z.string().optional().describe("file to encode").meta({ placeholder: "path" }),
    recognizeSpecialTokens: z.boolean().default(true).describe("turn the text of a special token into that token"),
  }),
  examples: ['stemma tokenizer encode --tokenizer runs/tokenizer --text "To be, or not to be"'],
  async run({ tokenizer: folder, text, input, recognizeSpecialTokens }, io) {
    if (text !== undefined && input !== undefined) {
      throw new SettingsError("--text and --input are both given; give one of them");
    }
    const tokenizer = await loadTokenizer(folder);
    const ids = [...tokenizer.encode(text ?? (await contents(input, io)), { recognizeSpecialTokens })];
    io.print(ids.join(" "));
    return { ids, tokens: ids.map((id) => tokenizer.decode([id])) };
  },
});

async function contents(path: string | undefined, io: Io): Promise<string> {
  return path === undefined ? readInput(io, "text", "--text or --input") : readTextFile(path);
}
