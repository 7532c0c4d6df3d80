import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { SettingsError } from "../core/errors.ts";
import { inTurns, turnEventLoopWhenDue } from "../core/event-loop.ts";
import { readDocuments } from "../data/documents.ts";
import { resolveSources } from "../data/sources.ts";
import { writeFileAtomic } from "../files/atomic-write.ts";
import { badRowSettings, readNotingBad } from "../stages/row-settings.ts";
import { tokenizerFiles } from "../text/tokenizer-files.ts";
import { learnableKinds, trainers } from "../text/trainers.ts";
import { defineCommand } from "./command.ts";
import { formatDuration } from "./progress.ts";

/** Text, in UTF-16 units, on which the length of a token is measured. */
const sampleLength = 2 ** 16;

/** `stemma tokenizer train`: learns a tokenizer from text. */
export const tokenizerTrain = defineCommand({
  name: "tokenizer train",
  summary: "learn a tokenizer from text",
  group: "Data and files",
  settings: z.object({
    input: z
      .array(z.string().min(1))
      .min(1)
      .describe("text or JSONL files, folders or globs to learn from")
      .meta({ aliases: ["data"], placeholder: "path" }),
    kind: z.enum(learnableKinds).default("byte-level-bpe").describe("how text is cut into tokens"),
    vocabSize: z
      .int()
      .positive()
      .default(4096)
      .describe("tokens in all, bytes and special tokens included; characters are as many as there are")
      .meta({ aliases: ["vocabulary_size"] }),
    output: z.string().min(1).describe("folder for tokenizer.json").meta({ placeholder: "folder" }),
    minFrequency: z.int().positive().default(2).describe("occurrences a pair needs to become a token"),
    specialTokens: z
      .array(z.string().min(1))
      .optional()
      .describe("texts that are one token each (default: <|endoftext|> for byte-level BPE, none for others)"),
    textColumn: z.string().min(1).default("text").describe("column of the text in files of rows"),
    ...badRowSettings,
    overwrite: z.boolean().default(false).describe("replace a tokenizer that is in the folder"),
  }),
  examples: [
    "stemma tokenizer train --input book.txt --vocab-size 2048 --output runs/tokenizer",
    "stemma tokenizer train --input book.txt --kind characters --output runs/characters",
  ],
  async run({ input, kind, vocabSize, output, minFrequency, specialTokens, textColumn, badRows, overwrite }, io) {
    const start = performance.now();
    const signal = io.stopSignal();
    if (!overwrite && existsSync(join(output, "tokenizer.json"))) {
      throw new SettingsError(`${output} already holds a tokenizer; choose another --output or add --overwrite`);
    }
    const trainer = trainers[kind]({
      ...{ vocabularySize: vocabSize, minFrequency },
      ...(specialTokens === undefined ? {} : { specialTokens }),
    });
    let characters = 0;
    let sample = "";
    await readNotingBad({ badRows }, { note: io.note, signal }, async (bad) => {
      for (const { files } of await resolveSources(input)) {
        for await (const { text } of readDocuments(files, { textColumn, bad })) {
          await turnEventLoopWhenDue();
          signal.throwIfAborted();
          trainer.add(text);
          characters += text.length;
          if (sample.length < sampleLength) sample += text.slice(0, sampleLength);
        }
      }
    });
    const tokenizer = await inTurns(trainer.training(), signal);
    for (const [name, contents] of Object.entries(tokenizerFiles(tokenizer))) {
      await writeFileAtomic(join(output, name), contents);
    }
    const charactersPerToken = [...sample].length / tokenizer.encode(sample).length;
    const seconds = (performance.now() - start) / 1000;
    io.print(
      `tokenizer train: ${tokenizer.vocabularySize} tokens from ${characters.toLocaleString("en-US")} characters in ` +
        `${formatDuration(seconds)}; ${charactersPerToken.toFixed(2)} characters a token; written to ${output}`,
    );
    return { output, kind, vocabularySize: tokenizer.vocabularySize, characters, charactersPerToken, seconds };
  },
});
