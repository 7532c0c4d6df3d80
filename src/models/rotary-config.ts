import { z } from "zod";
import type { RotaryScaling } from "../nn/rotary-table.ts";

const positive = z.number().positive();

/** `rope_scaling`, or the newer `rope_parameters`; older files call `rope_type` just `type`. */
const ScalingKeys = z.object({
  rope_type: z.enum(["default", "linear", "llama3"]).optional(),
  type: z.enum(["default", "linear", "llama3"]).optional(),
  rope_theta: positive.optional(),
  partial_rotary_factor: z.literal(1).nullish(),
  factor: positive.optional(),
  low_freq_factor: positive.optional(),
  high_freq_factor: positive.optional(),
  original_max_position_embeddings: z.int().positive().optional(),
});
type ScalingKeys = z.infer<typeof ScalingKeys>;

const Scaling = ScalingKeys.refine(
  (keys) => scalingOf(keys) !== undefined,
  "a key that this type of scaling needs is missing",
);

/** The keys of a config.json that say how positions turn. */
export const rotaryKeys = {
  rope_theta: positive.optional(),
  rope_scaling: Scaling.nullish(),
  rope_parameters: Scaling.nullish(),
};

type RotaryKeys = z.infer<z.ZodObject<typeof rotaryKeys>>;

/** Base and scaling of rotary positions from a config.json, old spelling or new. */
export function readRotary(keys: RotaryKeys, defaultBase: number): { base: number; scaling: RotaryScaling | null } {
  const parameters = keys.rope_parameters ?? keys.rope_scaling ?? {};
  return {
    base: parameters.rope_theta ?? keys.rope_theta ?? defaultBase,
    scaling: scalingOf(parameters) ?? null,
  };
}

/** Base and scaling of rotary positions as keys of a config.json. */
export function writeRotary(base: number, scaling: RotaryScaling | null): RotaryKeys {
  return { rope_theta: base, rope_scaling: scaling && scalingKeys(scaling) };
}

/** undefined when a key is missing. */
function scalingOf(keys: ScalingKeys): RotaryScaling | null | undefined {
  const { factor, low_freq_factor: low, high_freq_factor: high, original_max_position_embeddings: original } = keys;
  const kind = keys.rope_type ?? keys.type ?? "default";
  if (kind === "default") return null;
  if (!factor) return undefined;
  if (kind === "linear") return { kind, factor };
  if (!low || !high || !original) return undefined;
  return { kind, factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContext: original };
}

function scalingKeys(scaling: RotaryScaling): ScalingKeys {
  if (scaling.kind === "linear") return { rope_type: "linear", factor: scaling.factor };
  return {
    rope_type: "llama3",
    factor: scaling.factor,
    low_freq_factor: scaling.lowFrequencyFactor,
    high_freq_factor: scaling.highFrequencyFactor,
    original_max_position_embeddings: scaling.originalContext,
  };
}
