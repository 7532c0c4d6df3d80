import { z } from "zod";
import { DataError } from "../core/errors.ts";
import { parseJsonObject } from "../files/json.ts";
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
    // In a pipe the text as it is, so that encoding it again gives the same ids.
    io.write(io.isTerminal && !text.endsWith("\n") ? `${text}\n` : text);
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

/** Ids as `encode` writes them, alone or under `--json`, or any list of numbers. */
function parseIds(input: string): number[] {
  const text = input.trim();
  if (text.startsWith("{")) return idsIn(text);
  return text
    .split(/[\s,[\]]+/)
    .filter((word) => word !== "")
    .map((word) => {
      if (/^\d+$/.test(word)) return Number(word);
      throw new DataError(
        `standard input: ids are whole numbers, got ${JSON.stringify(word)}; pipe in what stemma tokenizer encode writes`,
      );
    });
}

function idsIn(text: string): number[] {
  const { ids } = parseJsonObject("standard input", text);
  if (Array.isArray(ids) && ids.every((id) => Number.isInteger(id) && Number(id) >= 0)) return ids as number[];
  throw new DataError(
    'standard input: "ids" must be a list of whole numbers, as stemma tokenizer encode --json writes',
  );
}
