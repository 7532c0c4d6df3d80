import { z } from "zod";
import { DataError } from "../core/errors.ts";
import { loadTokenizer } from "../text/load-tokenizer.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { defineCommand } from "./command.ts";
import { readInput } from "./read-input.ts";

/** `stemma tokenizer decode`: the text of token ids. */
export const tokenizerDecode = defineCommand({
  name: "tokenizer decode",
  summary: "turn token ids into text",
  group: "Data and files",
  settings: z.object({
    tokenizer: z.string().min(1).describe("folder of a tokenizer or model").meta({ placeholder: "folder" }),
    ids: z
      .array(z.int().nonnegative())
      .optional()
      .describe("ids to decode; without, standard input is read")
      .meta({ placeholder: "id", aliases: ["input_ids"] }),
    skipSpecialTokens: z.boolean().default(false).describe("leave special tokens out of the text"),
  }),
  examples: ["stemma tokenizer decode --tokenizer runs/tokenizer --ids 312,87,12"],
  async run({ tokenizer: folder, ids, skipSpecialTokens }, io) {
    const tokenizer = await loadTokenizer(folder);
    const given = ids ?? parseIds(await readInput(io, "ids", "--ids"));
    refuseUnknown(given, tokenizer);
    const text = tokenizer.decode(given, { skipSpecialTokens });
    io.print(text);
    return { text };
  },
});

/** @throws {DataError} naming the first id that no token has: most likely they are another tokenizer's. */
function refuseUnknown(ids: readonly number[], tokenizer: Tokenizer): void {
  const unknown = ids.find((id) => tokenizer.tokenOf(id) === null);
  if (unknown === undefined) return;
  throw new DataError(
    `id ${unknown} is no token of this tokenizer, whose ids end at ${tokenizer.vocabularySize - 1}; use the tokenizer that the ids were made with`,
  );
}

/** Ids with anything but digits between them, as `encode` and JSON write them. */
function parseIds(text: string): number[] {
  return text
    .split(/[\s,[\]]+/)
    .filter((word) => word !== "")
    .map((word) => {
      if (/^\d+$/.test(word)) return Number(word);
      throw new DataError(`standard input: ids are whole numbers, got ${JSON.stringify(word)}`);
    });
}
