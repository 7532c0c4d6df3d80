import { z } from "zod";
import type { GgufValue } from "../../checkpoint/gguf-values.ts";
import type { TensorSource } from "../../checkpoint/tensor-source.ts";
import { CheckpointError, UnsupportedError } from "../../core/errors.ts";
import type { RotaryScaling } from "../../nn/rotary-table.ts";
import { rotaryFrequencies } from "../../nn/rotary-table.ts";
import { parseConfig } from "../config.ts";
import type { ModelConfig } from "../family.ts";
import { readRotary, rotaryKeys, writeRotary } from "../rotary-config.ts";
import { rotaryDivisors } from "./arrangement.ts";

const RotaryConfig = z.object({ ...rotaryKeys, head_dim: z.int().positive().optional() });

interface Rotary {
  readonly headDim: number;
  readonly base: number;
  readonly scaling: RotaryScaling | null;
}

/** How positions turn, by a config.json; null scaling for models without rotary positions. */
function rotaryOf(config: ModelConfig): Rotary {
  const keys = parseConfig(RotaryConfig, config);
  return { headDim: keys.head_dim ?? 0, ...readRotary(keys, 10_000) };
}

/** The metadata of a file that say how angles are scaled, without the architecture before their keys. */
export function scalingMetadata(config: ModelConfig): Map<string, GgufValue> {
  const { scaling } = rotaryOf(config);
  if (scaling?.kind !== "linear") return new Map();
  return new Map([
    ["rope.scaling.type", { type: "string", value: "linear" }],
    ["rope.scaling.factor", { type: "float32", value: scaling.factor }],
  ]);
}

/** {@link rotaryDivisors} of a model whose pairs are scaled each in its own way, or null. */
export function divisorsOf(config: ModelConfig): Float32Array | null {
  const { headDim, base, scaling } = rotaryOf(config);
  return scaling?.kind === "llama3" ? divisors({ headDim, base, scaling }) : null;
}

function divisors({ headDim, base, scaling }: Rotary): Float32Array {
  const scaled = rotaryFrequencies(headDim, base, scaling);
  return Float32Array.from(rotaryFrequencies(headDim, base, null), (frequency, i) => frequency / (scaled[i] ?? 1));
}

/**
 * The keys of config.json that say how a file's angles are scaled. A file does not say by what rule its divisors were
 * made: they must be those of Llama 3.1 and its successors.
 *
 * @throws {UnsupportedError} when angles are scaled in a way that is not known here.
 */
export async function scalingConfig(
  config: ModelConfig,
  read: (key: string) => GgufValue | undefined,
  tensors: TensorSource,
): Promise<ModelConfig> {
  const { headDim, base } = rotaryOf(config);
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
  const scaling: RotaryScaling = {
    kind: "llama3",
    factor: Number((found.at(-1) ?? 1).toPrecision(7)),
    ...{ lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 8192 },
  };
  const expected = divisors({ headDim, base, scaling });
  const fits = expected.length === found.length && expected.every((x, i) => Math.abs(x / (found[i] ?? 0) - 1) < 1e-4);
  if (fits) return writeRotary(base, scaling);
  throw new CheckpointError(
    `${tensors.name}: ${rotaryDivisors} scales rotary positions in another way than Llama 3; such a model cannot be read`,
  );
}
