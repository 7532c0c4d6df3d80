import { z } from "zod";
import type { SentencePieceBpeParts } from "./sentence-piece-bpe.ts";
import { SentencePieceBpe } from "./sentence-piece-bpe.ts";
import { readTemplate } from "./sequence-template-json.ts";
import { readTextNormalizer } from "./text-normalizer.ts";
import type { Component, TokenizerParts } from "./tokenizer-parts.ts";
import { flatten, unsupportedPart } from "./tokenizer-parts.ts";

/** Whether a `tokenizer.json` is of a SentencePiece-like BPE: one that falls back to bytes. */
export function isSentencePieceBpe({ model }: TokenizerParts): boolean {
  return model.type === "BPE" && model.fields.byte_fallback === true;
}

/**
 * Makes a SentencePiece-like BPE from the contents of its `tokenizer.json`.
 *
 * @throws {UnsupportedError} when it treats spaces in a way that is not known here.
 * @throws {CheckpointError} when its parts do not belong together.
 */
export function sentencePieceBpeFromJson(parts: TokenizerParts): SentencePieceBpe {
  const { where, model, addedTokens, normalizer, preTokenizer, decoder } = parts;
  const unusual = ["dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges"].find(
    (field) => model.fields[field],
  );
  if (unusual !== undefined) throw unsupportedPart(where, `setting ${unusual} =`, model.fields[unusual]);
  const { unk_token: unk } = model.fields;
  return new SentencePieceBpe(
    {
      vocabulary: model.vocabulary,
      merges: model.scoredMerges ?? model.merges,
      addedTokens,
      roles: typeof unk === "string" ? { unk, ...parts.roles } : parts.roles,
      template: readTemplate(where, parts.postProcessor),
      ...readSpaces(parts),
      dropsFirstSpace: readByteDecoder(where, decoder),
      fusesUnknown: model.fields.fuse_unk === true,
      json: { normalizer, pre_tokenizer: preTokenizer, decoder },
    },
    where,
  );
}

const markSpaces = z.looseObject({
  type: z.literal("Replace"),
  pattern: z.object({ String: z.literal(" ") }),
  content: z.literal("▁"),
});

const prependSpace = z.looseObject({ type: z.literal("Prepend"), prepend: z.literal("▁") });

const metaspace = z.looseObject({
  type: z.literal("Metaspace"),
  replacement: z.literal("▁"),
  prepend_scheme: z.enum(["first", "always", "never"]),
  split: z.literal(false),
});

/** Cuts before spaces of which the normalizer has left none. */
const idleSplit = z.looseObject({ type: z.literal("Split"), pattern: z.object({ String: z.literal(" ") }) });

/** How text is normalized, and where a space is put before it. */
function readSpaces(parts: TokenizerParts): Pick<SentencePieceBpeParts, "spacePrefix" | "normalizer"> {
  const { where, normalizer, preTokenizer } = parts;
  const steps = flatten(where, normalizer, "normalizers");
  if (steps.length === 0) {
    const { data } = metaspace.safeParse(preTokenizer);
    if (!data) throw unsupportedPart(where, "pre-tokenizer", preTokenizer);
    const schemes = { never: "never", always: "unless there", first: "first, unless there" } as const;
    return { spacePrefix: schemes[data.prepend_scheme], normalizer: null };
  }
  if (preTokenizer && !idleSplit.safeParse(preTokenizer).success)
    throw unsupportedPart(where, "pre-tokenizer", preTokenizer);
  if (!markSpaces.safeParse(steps.at(-1)).success) throw unsupportedPart(where, "normalizer", normalizer);
  const isPrefixed = prependSpace.safeParse(steps.at(-2)).success;
  const normalizers = steps.slice(0, isPrefixed ? -2 : -1);
  return {
    spacePrefix: isPrefixed ? "always" : "never",
    normalizer: normalizers.length > 0 ? readTextNormalizer(where, { type: "Sequence", normalizers }) : null,
  };
}

const unmarkSpaces = z.looseObject({
  type: z.literal("Replace"),
  pattern: z.object({ String: z.literal("▁") }),
  content: z.literal(" "),
});

const stripFirst = z.looseObject({
  type: z.literal("Strip"),
  content: z.literal(" "),
  start: z.literal(1),
  stop: z.literal(0),
});

/**
 * Whether a decoder that joins tokens and bytes drops a first space.
 *
 * @throws {UnsupportedError} when it does something else.
 */
export function readByteDecoder(where: string, decoder: Component | null): boolean {
  const [unmark, bytes, fuse, strip, ...rest] = flatten(where, decoder, "decoders");
  const isKnown =
    unmarkSpaces.safeParse(unmark).success &&
    bytes?.type === "ByteFallback" &&
    fuse?.type === "Fuse" &&
    (strip === undefined || stripFirst.safeParse(strip).success) &&
    rest.length === 0;
  if (!isKnown) throw unsupportedPart(where, "decoder", decoder);
  return strip !== undefined;
}
