import type { GgufValue } from "../../checkpoint/gguf-values.ts";
import type { TensorSource } from "../../checkpoint/tensor-source.ts";
import { CheckpointError, UnsupportedError } from "../../core/errors.ts";
import type { RotaryRule, RotaryScaling } from "../../nn/rotary-table.ts";
import { rotaryFrequencies } from "../../nn/rotary-table.ts";
import type { ModelConfig } from "../family.ts";
import { longMagnitude } from "../rotary-config.ts";
import { numberOf, rounded } from "./keys.ts";

/** Name of the tensor that holds what each rotary pair's frequency is divided by. */
export const rotaryDivisors = "rope_freqs.weight";
const shortDivisors = "rope_factors_short.weight";
const longDivisors = "rope_factors_long.weight";

/** Tensors that say how positions turn, which a model folder says in its config. */
export const rotaryTensors: readonly string[] = [rotaryDivisors, shortDivisors, longDivisors];

type Tensors = Pick<TensorSource, "name" | "has" | "read">;
type Read = (key: string) => GgufValue | undefined;
type Kind<Name> = Extract<RotaryScaling, { kind: Name }>;

/**
 * The metadata of a file that say how angles are scaled, without the architecture before their keys. For Llama 3's rule
 * llama.cpp reads {@link rotaryDivisors} and nothing else: its numbers have keys of our own.
 */
export function scalingMetadata(scaling: RotaryScaling | null): [string, GgufValue][] {
  if (!scaling) return [];
  if (scaling.kind === "llama3") return llama3Keys.map(([name, key]) => [key, real(scaling[name])]);
  const type: [string, GgufValue] = ["rope.scaling.type", { type: "string", value: scaling.kind }];
  if (scaling.kind === "linear") return [type, ["rope.scaling.factor", real(scaling.factor)]];
  const original: [string, GgufValue] = [
    "rope.scaling.original_context_length",
    { type: "uint32", value: scaling.originalContext },
  ];
  if (scaling.kind === "longrope") return [type, original, ["rope.scaling.attn_factor", real(scaling.magnitude)]];
  return [
    type,
    original,
    ["rope.scaling.factor", real(scaling.factor)],
    ["rope.scaling.attn_factor", real(scaling.magnitude / yarnMagnitude(scaling.factor))],
    ["rope.scaling.yarn_beta_fast", real(scaling.betaFast)],
    ["rope.scaling.yarn_beta_slow", real(scaling.betaSlow)],
  ];
}

/** What llama.cpp multiplies YaRN's cosines and sines by of its own accord. */
function yarnMagnitude(factor: number): number {
  return factor <= 1 ? 1 : 0.1 * Math.log(factor) + 1;
}

function real(value: number): GgufValue {
  return { type: "float32", value };
}

const llama3Keys = [
  ["factor", "rope.scaling.llama3.factor"],
  ["lowFrequencyFactor", "rope.scaling.llama3.low_freq_factor"],
  ["highFrequencyFactor", "rope.scaling.llama3.high_freq_factor"],
  ["originalContext", "rope.scaling.llama3.original_context_length"],
] as const;

/** The {@link rotaryTensors} of a model whose pairs are scaled each in its own way; none for others. */
export function divisorsOf(rule: RotaryRule | null): [name: string, values: Float32Array][] {
  const { scaling = null } = rule ?? {};
  if (scaling?.kind === "llama3" && rule) return [[rotaryDivisors, divisors(rule)]];
  if (scaling?.kind !== "longrope") return [];
  return [
    [longDivisors, Float32Array.from(scaling.longFactors)],
    [shortDivisors, Float32Array.from(scaling.shortFactors)],
  ];
}

function divisors(rule: RotaryRule): Float32Array {
  const scaled = rotaryFrequencies(rule);
  return Float32Array.from(rotaryFrequencies({ ...rule, scaling: null }), (own, i) => own / (scaled[i] ?? 1));
}

/**
 * The keys of config.json that say how a file's angles are scaled. Files of others do not say by what rule their
 * divisors were made: those of Llama 3.1 and its successors are recognised, whatever its numbers.
 *
 * @throws {UnsupportedError} when angles are scaled in a way that is not known here.
 * @throws {CheckpointError} when a number that the way needs is missing.
 */
export async function scalingConfig(
  { turned, base }: Pick<RotaryRule, "turned" | "base">,
  read: Read,
  tensors: Tensors,
): Promise<ModelConfig> {
  if (tensors.has(longDivisors)) return longConfig(read, tensors);
  const type = read("rope.scaling.type");
  if (type?.type === "string" && type.value !== "none") return factorConfig(type.value, read, tensors.name);
  if (!tensors.has(rotaryDivisors)) return {};
  const found = await tensors.read(rotaryDivisors);
  const fits = (scaling: Kind<"llama3">): boolean => {
    const expected = divisors({ turned, base, scaling });
    return expected.length === found.length && expected.every((x, i) => Math.abs(x / (found[i] ?? 0) - 1) < 1e-4);
  };
  const candidates = [
    statedScaling(read),
    ...likelyScalings(found, rotaryFrequencies({ turned, base, scaling: null })),
  ];
  const scaling = candidates.find((candidate) => candidate !== null && fits(candidate));
  if (scaling) {
    return {
      rope_scaling: {
        rope_type: "llama3",
        factor: scaling.factor,
        low_freq_factor: scaling.lowFrequencyFactor,
        high_freq_factor: scaling.highFrequencyFactor,
        original_max_position_embeddings: scaling.originalContext,
      },
    };
  }
  throw new CheckpointError(
    `${tensors.name}: ${rotaryDivisors} scales rotary positions in another way than Llama 3; such a model cannot be read`,
  );
}

/** One factor for all pairs, or YaRN's. */
function factorConfig(type: string, read: Read, where: string): ModelConfig {
  if (type !== "linear" && type !== "yarn") {
    throw new UnsupportedError(`${where}: rope.scaling.type is ${type}; linear, yarn and longrope are known`);
  }
  const factor = number(read, "rope.scaling.factor", where);
  if (type === "linear") return { rope_scaling: { rope_type: type, factor } };
  const share = rounded(numberOf(read("rope.scaling.attn_factor")) ?? 1);
  const [fast, slow] = ["fast", "slow"].map((speed) => numberOf(read(`rope.scaling.yarn_beta_${speed}`)));
  return {
    rope_scaling: {
      rope_type: type,
      factor,
      original_max_position_embeddings: number(read, "rope.scaling.original_context_length", where),
      ...(share !== 1 && { attention_factor: rounded(share * yarnMagnitude(factor)) }),
      ...(fast != null && { beta_fast: rounded(fast) }),
      ...(slow != null && { beta_slow: rounded(slow) }),
    },
  };
}

/** A divisor for each pair, and others for long texts. */
async function longConfig(read: Read, tensors: Tensors): Promise<ModelConfig> {
  if (!tensors.has(shortDivisors))
    throw new CheckpointError(`${tensors.name}: has ${longDivisors} but no ${shortDivisors}`);
  const [long, short] = [await tensors.read(longDivisors), await tensors.read(shortDivisors)];
  const original = number(read, "rope.scaling.original_context_length", tensors.name);
  const magnitude = numberOf(read("rope.scaling.attn_factor")) ?? 1;
  const usual = longMagnitude((numberOf(read("context_length")) ?? original) / original, original);
  return {
    rope_scaling: {
      rope_type: "longrope",
      short_factor: [...short].map(rounded),
      long_factor: [...long].map(rounded),
      ...(Math.abs(magnitude / usual - 1) > 1e-6 && { attention_factor: rounded(magnitude) }),
    },
    original_max_position_embeddings: original,
  };
}

function number(read: Read, key: string, where: string): number {
  const value = numberOf(read(key));
  if (value === null) throw new CheckpointError(`${where}: ${key} is missing or no number; the file is incomplete`);
  return rounded(value);
}

/** What {@link scalingMetadata} has written; null in files of others. */
function statedScaling(read: Read): Kind<"llama3"> | null {
  const values = llama3Keys.map(([name, key]): [string, number] | null => {
    const value = numberOf(read(key));
    return value === null ? null : [name, rounded(value)];
  });
  if (values.includes(null)) return null;
  return { kind: "llama3", ...Object.fromEntries(values as [string, number][]) } as Kind<"llama3">;
}

/**
 * Numbers of Llama 3's rule that may have made some divisors: first those that all its models have. Divisors say the
 * factor, and through each pair that is scaled in part, how far between the two limits it turns: a straight line in
 * its frequency. It has two numbers, the rule one more; so the low limit is taken to be 1.
 */
function likelyScalings(divided: Float32Array, frequencies: Float64Array): Kind<"llama3">[] {
  const factor = rounded(divided.at(-1) ?? 1);
  const usual: Kind<"llama3"> = {
    kind: "llama3",
    factor,
    lowFrequencyFactor: 1,
    highFrequencyFactor: 4,
    originalContext: 8192,
  };
  const points = [...divided].flatMap((divisor, i): [number, number][] => {
    const share = (1 / divisor - 1 / factor) / (1 - 1 / factor);
    return share > 1e-3 && share < 1 - 1e-3 ? [[frequencies[i] ?? 0, share]] : [];
  });
  const [first, last] = [points[0], points.at(-1)];
  if (!first || !last || first === last) return [usual];
  const slope = (first[1] - last[1]) / (first[0] - last[0]);
  const span = 1 / (slope * first[0] - first[1]); // high − low, where low is 1
  const originalContext = Math.round(2 * Math.PI * slope * span);
  return [usual, { ...usual, highFrequencyFactor: Number((1 + span).toPrecision(5)), originalContext }];
}
