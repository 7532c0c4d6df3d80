import type { Placement } from "../checkpoint/assign-tensors.ts";
import { assignTensors } from "../checkpoint/assign-tensors.ts";
import type { TensorSource } from "../checkpoint/tensor-source.ts";
import type { Parameter } from "../nn/parameters.ts";
import type { ModelConfig, ModelFamily } from "./family.ts";
import type { LanguageModel } from "./language-model.ts";
import { architecturesOf } from "./other-heads.ts";
import { modelPlacements } from "./read-model.ts";
import { renaming } from "./tensor-names.ts";

/**
 * What decoders with a head in place of their output layer have in common, in the layout of the classes of
 * `transformers` that end in `ForSequenceClassification`.
 */

/** The `architectures` that a language model's config has with a head in place of the output layer. */
export function classifierArchitectures(config: ModelConfig): string[] {
  return architecturesOf(config).map(
    (name) => `${name.replace(/(LMHeadModel|ForCausalLM)$/, "")}ForSequenceClassification`,
  );
}

/** Where all but the output layer of the body lies in a folder, and the head's `score.weight` `[outputs, width]`. */
export function classifierPlacements(family: ModelFamily, body: LanguageModel, score: Parameter): Placement[] {
  return [
    ...modelPlacements(family, body).filter(({ name }) => !isOutputLayer(name)),
    { name: "score.weight", tensor: score },
  ];
}

/**
 * Reads a classifier from a file; an output layer in it is passed over.
 *
 * @throws {CheckpointError} when tensors are missing, unexpected or of another shape.
 */
export async function loadClassifier(
  family: ModelFamily,
  expected: readonly Placement[],
  source: TensorSource,
): Promise<void> {
  const rename = renaming(family, expected, source);
  await assignTensors(expected, source, (name) => (isOutputLayer(name) ? null : rename(name)));
}

/** Whether a parameter of a classifier is its body's output layer and nothing else, such as a tied embedding. */
export function isUnusedOutput(body: LanguageModel, name: string, parameter: Parameter): boolean {
  return parameter === body.outputWeight && !name.endsWith("tokenEmbedding");
}

function isOutputLayer(name: string): boolean {
  return name === "lm_head.weight";
}
