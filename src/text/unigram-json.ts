import { z } from "zod";
import { parseContents } from "../core/parse-contents.ts";
import { readMetaspace, readMetaspaceWords } from "./metaspace.ts";
import { readByteDecoder } from "./sentence-piece-json.ts";
import { readTemplate } from "./sequence-template-json.ts";
import { readTextNormalizer } from "./text-normalizer.ts";
import type { Component, TokenizerParts } from "./tokenizer-parts.ts";
import { flatten, unsupportedPart } from "./tokenizer-parts.ts";
import type { UnigramDecoding } from "./unigram.ts";
import { Unigram } from "./unigram.ts";

const ModelSchema = z.looseObject({
  unk_id: z.int().nonnegative().nullish(),
  byte_fallback: z.boolean().default(false),
});

/** Whether a `tokenizer.json` is of a unigram model. */
export function isUnigram({ model }: TokenizerParts): boolean {
  return model.type === "Unigram";
}

/**
 * Makes a unigram tokenizer from the contents of its `tokenizer.json`.
 *
 * @throws {UnsupportedError} when it normalizes, cuts or joins text in a way that is not known here.
 * @throws {CheckpointError} when its parts do not belong together.
 */
export function unigramFromJson(parts: TokenizerParts): Unigram {
  const { where, model, normalizer, preTokenizer, decoder } = parts;
  const { unk_id: unknown = null, byte_fallback } = parseContents(`${where}: model`, ModelSchema, model.fields);
  const words = readMetaspaceWords(where, preTokenizer);
  const text = readTextNormalizer(where, normalizer);
  // Whether the first word then has a space depends on what was stripped before it.
  if (words.scheme === "first" && text.stripsStart) throw unsupportedPart(where, "normalizer", normalizer);
  const unk = unknown === null ? undefined : model.pieces[unknown]?.[0];
  return new Unigram(
    {
      pieces: model.pieces,
      unknown,
      fallsBackToBytes: byte_fallback,
      addedTokens: parts.addedTokens,
      roles: unk === undefined ? parts.roles : { unk, ...parts.roles },
      template: readTemplate(where, parts.postProcessor),
      normalizer: text,
      words,
      decoding: readDecoding(where, decoder),
      json: { normalizer, pre_tokenizer: preTokenizer, decoder },
    },
    where,
  );
}

function readDecoding(where: string, decoder: Component | null): UnigramDecoding {
  const [step, ...rest] = flatten(where, decoder, "decoders");
  if (step?.type === "Metaspace" && rest.length === 0) {
    return { joinsBytes: false, dropsFirstSpace: readMetaspace(`${where}: decoder`, step).scheme !== "never" };
  }
  return { joinsBytes: true, dropsFirstSpace: readByteDecoder(where, decoder) };
}
