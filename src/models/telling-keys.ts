import { CheckpointError } from "../core/errors.ts";
import { shortened } from "../core/schema-demand.ts";
import type { ModelConfig } from "./family.ts";

/** Whether a key of a config changes nothing about what a model computes. */
type IsNeutral = (value: unknown, config: ModelConfig) => boolean;

const isOne: IsNeutral = (value) => value === 1;
const isOff: IsNeutral = (value) => value === false || value === 0;
const never: IsNeutral = () => false;

/**
 * Keys, of one family of `transformers` or another, that change what a model computes which some families read
 * and the others do not implement. Files hold them at neutral values, too.
 */
const tellingKeys: Readonly<Record<string, IsNeutral>> = {
  add_cross_attention: isOff,
  attn_logit_softcapping: never,
  clip_qkv: never,
  embedding_multiplier: isOne,
  final_logit_softcapping: never,
  layer_types: (value) => Array.isArray(value) && value.every((type) => type === "full_attention"),
  logit_scale: isOne,
  logits_scaling: isOne,
  partial_rotary_factor: isOne,
  pruned_heads: (value) => typeof value === "object" && Object.keys(value ?? {}).length === 0,
  qk_layernorm: isOff,
  quantization_config: never,
  residual_multiplier: isOne,
  // A window that holds all the model sees is none.
  sliding_window: (value, { use_sliding_window: isUsed, max_position_embeddings: context }) =>
    isUsed === false || (typeof value === "number" && typeof context === "number" && value >= context),
  use_qk_norm: isOff,
};

/** What to do about weights that a program packed in its own way. */
export const ownWeights =
  "take the model's own weights (the repository without GPTQ, AWQ or bnb in its name), or its GGUF file";

/** What to do about a key, where it is something else than to choose another model. */
const remedies: Readonly<Record<string, string>> = {
  quantization_config: ownWeights,
};

/**
 * @param own - Keys that the family reads itself.
 * @throws {CheckpointError} naming the first key that asks for a model of another kind; null is always neutral.
 */
export function refuseUnsupportedKeys(config: ModelConfig, own: readonly string[]): void {
  for (const [key, isNeutral] of Object.entries(tellingKeys)) {
    const value = config[key];
    if (own.includes(key) || value === undefined || value === null || isNeutral(value, config)) continue;
    const remedy = remedies[key] ?? "choose another model";
    throw new CheckpointError(
      `config.json: ${key} is ${shortened(JSON.stringify(value))}, which is not supported; ${remedy}`,
    );
  }
}

/** What a config asks for in a few words, for messages: its `model_type`, and keys that set it apart from its kin. */
export function describeConfig(config: ModelConfig): string {
  const isUnused: IsNeutral = (_, { use_sliding_window: isUsed }) => isUsed === false;
  const more = { attention_bias: isOff, mlp_bias: isOff, rope_scaling: never, sliding_window: isUnused };
  const { quantization_config: _, ...told } = tellingKeys; // refused before anything else is said
  const keys = { ...told, ...more };
  const apart = Object.entries(keys).filter(
    ([key, isNeutral]) => config[key] !== undefined && config[key] !== null && !isNeutral(config[key], config),
  );
  const shown = apart.map(([key]) => `${key} ${JSON.stringify(config[key])}`.slice(0, 60));
  return [`model_type ${String(config.model_type)}`, ...shown].join(", ");
}
