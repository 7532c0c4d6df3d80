import { z } from "zod";
import type { GgufValue } from "../../checkpoint/gguf-values.ts";
import type { TensorSource } from "../../checkpoint/tensor-source.ts";
import { CheckpointError, UnsupportedError } from "../../core/errors.ts";
import type { RotaryRule, RotaryScaling } from "../../nn/rotary-table.ts";
import { rotaryFrequencies } from "../../nn/rotary-table.ts";
import { parseConfig } from "../config.ts";
import type { ModelConfig } from "../family.ts";
import { readRotary, rotaryKeys, writeRotary } from "../rotary-config.ts";
import { rotaryDivisors } from "./arrangement.ts";

const size = z.int().positive().optional();
const RotaryConfig = z.object({ ...rotaryKeys, head_dim: size, max_position_embeddings: size });

/** How positions turn, by a config.json; null scaling for models without rotary positions. */
function rotaryOf(config: ModelConfig): RotaryRule {
  const { head_dim: headDim = 0, max_position_embeddings: context = 0, ...keys } = parseConfig(RotaryConfig, config);
  return readRotary(keys, { headDim, context, base: 10_000 });
}

/**
 * The metadata of a file that say how angles are scaled, without the architecture before their keys. For Llama 3's rule
 * llama.cpp reads {@link rotaryDivisors} and nothing else: its numbers have keys of our own.
 */
export function scalingMetadata(config: ModelConfig): Map<string, GgufValue> {
  const { scaling } = rotaryOf(config);
  if (!scaling) return new Map();
  if (scaling.kind === "linear") {
    return new Map([
      ["rope.scaling.type", { type: "string", value: "linear" }],
      ["rope.scaling.factor", { type: "float32", value: scaling.factor }],
    ]);
  }
  if (scaling.kind !== "llama3")
    throw new UnsupportedError(`gguf: ${scaling.kind} scaling of positions cannot be written`);
  return new Map(llama3Keys.map(([name, key]) => [key, { type: "float32", value: scaling[name] }]));
}

const llama3Keys = [
  ["factor", "rope.scaling.llama3.factor"],
  ["lowFrequencyFactor", "rope.scaling.llama3.low_freq_factor"],
  ["highFrequencyFactor", "rope.scaling.llama3.high_freq_factor"],
  ["originalContext", "rope.scaling.llama3.original_context_length"],
] as const;

type Llama3 = Extract<RotaryScaling, { kind: "llama3" }>;

/** {@link rotaryDivisors} of a model whose pairs are scaled each in its own way, or null. */
export function divisorsOf(config: ModelConfig): Float32Array | null {
  const rule = rotaryOf(config);
  return rule.scaling?.kind === "llama3" ? divisors(rule) : null;
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
 */
export async function scalingConfig(
  config: ModelConfig,
  read: (key: string) => GgufValue | undefined,
  tensors: TensorSource,
): Promise<ModelConfig> {
  const { turned, base } = rotaryOf(config);
  const type = read("rope.scaling.type");
  const factor = read("rope.scaling.factor");
  if (type?.type === "string" && type.value !== "none") {
    if (type.value !== "linear" || factor?.type !== "float32") {
      throw new UnsupportedError(`${tensors.name}: rope.scaling.type is ${type.value}; linear is known`);
    }
    return writeRotary(base, { kind: "linear", factor: factor.value });
  }
  if (!tensors.has(rotaryDivisors)) return {};
  const found = await tensors.read(rotaryDivisors);
  const fits = (scaling: Llama3): boolean => {
    const expected = divisors({ turned, base, scaling });
    return expected.length === found.length && expected.every((x, i) => Math.abs(x / (found[i] ?? 0) - 1) < 1e-4);
  };
  const candidates = [
    statedScaling(read),
    ...likelyScalings(found, rotaryFrequencies({ turned, base, scaling: null })),
  ];
  const scaling = candidates.find((candidate) => candidate !== null && fits(candidate));
  if (scaling) return writeRotary(base, scaling);
  throw new CheckpointError(
    `${tensors.name}: ${rotaryDivisors} scales rotary positions in another way than Llama 3; such a model cannot be read`,
  );
}

/** What {@link scalingMetadata} has written; null in files of others. */
function statedScaling(read: (key: string) => GgufValue | undefined): Llama3 | null {
  const values = llama3Keys.map(([name, key]): [string, number] | null => {
    const value = read(key);
    return value?.type === "float32" ? [name, Number(value.value.toPrecision(7))] : null;
  });
  if (values.includes(null)) return null;
  return { kind: "llama3", ...Object.fromEntries(values as [string, number][]) } as Llama3;
}

/**
 * Numbers of Llama 3's rule that may have made some divisors: first those that all its models have. Divisors say the
 * factor, and through each pair that is scaled in part, how far between the two limits it turns: a straight line in
 * its frequency. It has two numbers, the rule one more; so the low limit is taken to be 1.
 */
function likelyScalings(divided: Float32Array, frequencies: Float64Array): Llama3[] {
  const factor = Number((divided.at(-1) ?? 1).toPrecision(7));
  const usual: Llama3 = {
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
