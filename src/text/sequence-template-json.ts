import { z } from "zod";
import { CheckpointError } from "../core/errors.ts";
import { parseContents } from "../core/parse-contents.ts";
import type { TemplatePiece } from "./sequence-template.ts";
import { SequenceTemplate } from "./sequence-template.ts";
import type { Component } from "./tokenizer-parts.ts";
import { flatten, unsupportedPart } from "./tokenizer-parts.ts";

const PieceSchema = z.union([
  z.object({ SpecialToken: z.object({ id: z.string(), type_id: z.int() }) }),
  z.object({ Sequence: z.object({ id: z.enum(["A", "B"]), type_id: z.int() }) }),
]);

const TemplateSchema = z.looseObject({
  single: z.array(PieceSchema),
  pair: z.array(PieceSchema),
  special_tokens: z.record(z.string(), z.looseObject({ ids: z.array(z.int().nonnegative()) })),
});

const PairedToken = z.tuple([z.string(), z.int().nonnegative()]);

const ProcessingSchema = z.looseObject({ cls: PairedToken, sep: PairedToken });

/**
 * The special tokens that the `post_processor` of a `tokenizer.json` puts around texts, or null where it puts none.
 *
 * @throws {UnsupportedError} when it does something else.
 * @throws {CheckpointError} when it is damaged.
 */
export function readTemplate(where: string, processor: Component | null): SequenceTemplate | null {
  // ByteLevel only moves offsets, which nobody here asks for.
  const steps = flatten(where, processor, "processors").filter(({ type }) => type !== "ByteLevel");
  const [step] = steps;
  if (step === undefined) return null;
  if (steps.length > 1) throw unsupportedPart(where, "post-processor", processor);
  if (step.type === "TemplateProcessing") return fromTemplate(`${where}: post_processor`, step);
  if (step.type === "BertProcessing") return fromPair(where, step, 1, false);
  if (step.type === "RobertaProcessing") return fromPair(where, step, 0, true);
  throw unsupportedPart(where, "post-processor", step);
}

function fromTemplate(where: string, step: Component): SequenceTemplate {
  const { single, pair, special_tokens: special } = parseContents(where, TemplateSchema, step);
  const read = (piece: z.output<typeof PieceSchema>): TemplatePiece => {
    if ("Sequence" in piece) return { sequence: piece.Sequence.id, typeId: piece.Sequence.type_id };
    const { id: token, type_id: typeId } = piece.SpecialToken;
    const ids = Object.hasOwn(special, token) ? special[token]?.ids : undefined;
    if (!ids) throw new CheckpointError(`${where}: ${JSON.stringify(token)} is not among special_tokens; add it there`);
    return { token, ids, typeId };
  };
  return new SequenceTemplate(single.map(read), pair.map(read));
}

/** `[CLS] A [SEP] B [SEP]`; RoBERTa separates twice and tells segments not apart. */
function fromPair(where: string, step: Component, secondType: number, isSeparatedTwice: boolean): SequenceTemplate {
  const { cls, sep } = parseContents(`${where}: post_processor`, ProcessingSchema, step);
  const token = ([content, id]: [string, number], typeId: number): TemplatePiece => ({
    token: content,
    ids: [id],
    typeId,
  });
  const single: TemplatePiece[] = [token(cls, 0), { sequence: "A", typeId: 0 }, token(sep, 0)];
  const second: TemplatePiece[] = [{ sequence: "B", typeId: secondType }, token(sep, secondType)];
  return new SequenceTemplate(single, [...single, ...(isSeparatedTwice ? [token(sep, 0)] : []), ...second]);
}
