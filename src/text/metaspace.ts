import { z } from "zod";
import { parseContents } from "../core/parse-contents.ts";
import type { Component } from "./tokenizer-parts.ts";
import { flatten, unsupportedPart } from "./tokenizer-parts.ts";

/** How SentencePiece writes a space. */
export const metaspace = "▁";

/** Where a space is put before a word that has none. */
export type PrependScheme = "first" | "always" | "never";

/** How text is cut into words whose spaces are `▁`. */
export interface MetaspaceWords {
  /** Whether white space is dropped and what lies between is cut one by one. */
  readonly dropsWhiteSpace: boolean;
  /** Where a `▁` is put; null: spaces are left as they are. */
  readonly scheme: PrependScheme | null;
  /** Whether every `▁` begins a word of its own. */
  readonly splits: boolean;
}

const MetaspaceSchema = z
  .looseObject({
    replacement: z.literal(metaspace).default(metaspace),
    prepend_scheme: z.enum(["first", "always", "never"]).optional(),
    add_prefix_space: z.boolean().default(true),
    split: z.boolean().default(true),
  })
  .transform(({ prepend_scheme, add_prefix_space, split }) => ({
    // Older files say only whether there is a space at all.
    scheme: prepend_scheme ?? (add_prefix_space ? ("always" as const) : ("never" as const)),
    splits: split,
  }));

/**
 * The `Metaspace` settings of a pre-tokenizer or decoder.
 *
 * @throws {CheckpointError} when they are damaged.
 */
export function readMetaspace(where: string, step: Component): { scheme: PrependScheme; splits: boolean } {
  return parseContents(where, MetaspaceSchema, step);
}

/**
 * Reads a `pre_tokenizer` of `WhitespaceSplit`, `Metaspace` or both, or of nothing.
 *
 * @throws {UnsupportedError} when it cuts in another way.
 */
export function readMetaspaceWords(where: string, json: Component | null): MetaspaceWords {
  const steps = flatten(where, json, "pretokenizers");
  const dropsWhiteSpace = steps[0]?.type === "WhitespaceSplit";
  const [step, ...rest] = dropsWhiteSpace ? steps.slice(1) : steps;
  if (rest.length > 0 || (step && step.type !== "Metaspace")) throw unsupportedPart(where, "pre-tokenizer", json);
  if (!step) return { dropsWhiteSpace, scheme: null, splits: false };
  return { dropsWhiteSpace, ...readMetaspace(`${where}: pre_tokenizer`, step) };
}

/**
 * Words of normalized text, none empty.
 *
 * @param isFirst - Whether the text is the first of all, not behind a token that was matched as a whole.
 * @param continues - Whether the first word goes on from another text, so that no space is put before it.
 */
export function metaspaceWords(
  { dropsWhiteSpace, scheme, splits }: MetaspaceWords,
  text: string,
  isFirst: boolean,
  continues: boolean,
): string[] {
  const pieces = dropsWhiteSpace ? (text.match(/\P{White_Space}+/gu) ?? []) : [text];
  if (scheme === null) return pieces;
  const atStart = !dropsWhiteSpace || /^\P{White_Space}/u.test(text);
  const words = pieces.map((piece, i) => {
    const word = piece.replaceAll(" ", metaspace);
    const isBare = word.startsWith(metaspace) || (continues && i === 0 && atStart);
    const isPrefixed = scheme === "always" || (scheme === "first" && isFirst && i === 0 && atStart);
    return isPrefixed && !isBare ? metaspace + word : word;
  });
  return splits ? words.flatMap((word) => word.match(/▁[^▁]*|[^▁]+/gu) ?? []) : words;
}
