import { z } from "zod";
import type { RotaryRule, RotaryScaling } from "../nn/rotary-table.ts";
import { size } from "./config-numbers.ts";

const positive = z.number().positive();
const factors = z.array(positive);

const kinds = z.enum(["default", "linear", "llama3", "yarn", "longrope", "su"]);

/** `rope_scaling`, or the newer `rope_parameters`; older files call `rope_type` just `type`. */
const ScalingKeys = z.object({
  rope_type: kinds.optional(),
  type: kinds.optional(),
  rope_theta: positive.optional(),
  partial_rotary_factor: positive.max(1).nullish(),
  factor: positive.nullish(),
  low_freq_factor: positive.optional(),
  high_freq_factor: positive.optional(),
  original_max_position_embeddings: size.nullish(),
  attention_factor: positive.nullish(),
  beta_fast: positive.nullish(),
  beta_slow: positive.nullish(),
  truncate: z.boolean().optional(),
  mscale: positive.nullish(),
  mscale_all_dim: positive.nullish(),
  short_factor: factors.optional(),
  long_factor: factors.optional(),
});
type ScalingKeys = z.infer<typeof ScalingKeys>;

/** The rule of one kind of layer, as `rope_parameters` has it. */
export const RotaryParameters: z.ZodType<ScalingKeys> = ScalingKeys.refine(
  (keys) => keys.factor !== undefined || !["linear", "llama3"].includes(kindOf(keys)),
  "a key that this type of scaling needs is missing",
)
  .refine(
    (keys) =>
      kindOf(keys) !== "llama3" ||
      (keys.low_freq_factor !== undefined &&
        keys.high_freq_factor !== undefined &&
        keys.original_max_position_embeddings != null),
    "a key that this type of scaling needs is missing",
  )
  .refine(
    (keys) => kindOf(keys) !== "longrope" || (keys.short_factor !== undefined && keys.long_factor !== undefined),
    "a key that this type of scaling needs is missing",
  );

/** The keys of a config.json that say how positions turn. */
export const rotaryKeys = {
  rope_theta: positive.optional(),
  rope_scaling: RotaryParameters.nullish(),
  rope_parameters: RotaryParameters.nullish(),
  partial_rotary_factor: positive.max(1).nullish(),
  original_max_position_embeddings: size.nullish(),
};

type RotaryKeys = z.infer<z.ZodObject<typeof rotaryKeys>>;

/** What rotary positions depend on beside their own keys. */
export interface RotaryPlace {
  readonly headDim: number;
  /** The longest sequence that the config allows. */
  readonly context: number;
  /** The family's base where the file has none. */
  readonly base: number;
  /** The family's share of a head that turns, likewise. */
  readonly share?: number;
}

/** How positions turn by a config.json, old spelling or new. */
export function readRotary(keys: RotaryKeys, place: RotaryPlace): RotaryRule {
  const own = keys.rope_parameters ?? keys.rope_scaling ?? {};
  const share = own.partial_rotary_factor ?? keys.partial_rotary_factor ?? place.share ?? 1;
  const original = own.original_max_position_embeddings ?? keys.original_max_position_embeddings ?? place.context;
  return {
    base: own.rope_theta ?? keys.rope_theta ?? place.base,
    turned: Math.trunc(place.headDim * share),
    scaling: scalingOf(own, original, place.context),
  };
}

function kindOf(keys: ScalingKeys): Exclude<z.infer<typeof kinds>, "su"> {
  const kind = keys.rope_type ?? keys.type ?? "default";
  return kind === "su" ? "longrope" : kind;
}

function scalingOf(keys: ScalingKeys, originalContext: number, context: number): RotaryScaling | null {
  const factor = keys.factor ?? context / originalContext;
  const kind = kindOf(keys);
  switch (kind) {
    case "default":
      return null;
    case "linear":
      return { kind, factor };
    case "llama3":
      return {
        ...{ kind, factor, originalContext },
        lowFrequencyFactor: keys.low_freq_factor ?? 1,
        highFrequencyFactor: keys.high_freq_factor ?? 4,
      };
    case "yarn":
      return {
        ...{ kind, factor, originalContext, truncates: keys.truncate ?? true },
        ...{ betaFast: keys.beta_fast ?? 32, betaSlow: keys.beta_slow ?? 1, magnitude: yarnMagnitude(keys, factor) },
      };
    case "longrope":
      return {
        ...{ kind, originalContext, shortFactors: keys.short_factor ?? [], longFactors: keys.long_factor ?? [] },
        magnitude: keys.attention_factor ?? longMagnitude(factor, originalContext),
      };
    default:
      return kind satisfies never;
  }
}

/** What multiplies cosines and sines of positions that reach `factor` times as far. @see Ding et al. (2024), arXiv:2402.13753 */
export function longMagnitude(factor: number, originalContext: number): number {
  return factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(originalContext));
}

/** @see Peng et al. (2023), equation 22, arXiv:2309.00071; `mscale` as in DeepSeek's variant. */
function yarnMagnitude({ attention_factor: own, mscale, mscale_all_dim: all }: ScalingKeys, factor: number): number {
  const ofScale = (weight: number): number => (factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1);
  if (own != null) return own;
  return mscale && all ? ofScale(mscale) / ofScale(all) : ofScale(1);
}
