import { tokenizerMetadata } from "../../checkpoint/gguf-tokenizer.ts";
import type { GgufValue } from "../../checkpoint/gguf-values.ts";
import type { GgufContents, GgufDtype, GgufTensor } from "../../checkpoint/gguf-writer.ts";
import type { WritableTensor } from "../../checkpoint/tensor-source.ts";
import { CheckpointError, UnsupportedError } from "../../core/errors.ts";
import type { Shape } from "../../core/shape.ts";
import { elementCount } from "../../core/shape.ts";
import type { ChatEncoder } from "../../text/encode-chat.ts";
import type { ModelConfig } from "../family.ts";
import type { HeadCounts } from "./arrangement.ts";
import { rotaryDivisors } from "./arrangement.ts";
import type { GgufLayout, GgufTensorName } from "./layout.ts";
import { ggufLayouts } from "./layout.ts";
import { divisorsOf, scalingMetadata } from "./rotary.ts";

/** What a GGUF file is made from. */
export interface GgufSource {
  /** `general.name` of the file. */
  readonly name: string;
  /** As the model's family writes it: nothing left to defaults. */
  readonly config: ModelConfig;
  /** As the model's folder holds them. */
  readonly tensors: readonly WritableTensor[];
  readonly encoder: ChatEncoder;
}

/** ggml's numbers for what most tensors of a file are. */
const fileTypes: Readonly<Record<GgufDtype, number>> = { F32: 0, F16: 1, Q4_0: 2, Q8_0: 7, BF16: 32 };

/**
 * A model as llama.cpp opens it. Matrices are of the given type. Norms, biases, positions and routers stay float32;
 * the embedding and the output layer of a Q4_0 file are Q8_0, since they suffer most; matrices whose rows are no
 * multiple of 32 are F16 in files of blocks.
 *
 * @throws {UnsupportedError} when llama.cpp has no such model or tokenizer.
 * @throws {CheckpointError} when the tokenizer has more tokens than the model.
 */
export function ggufContents(source: GgufSource, dtype: GgufDtype): GgufContents {
  const { config, name, encoder } = source;
  const { vocabularySize } = encoder.tokenizer;
  const layout = layoutOf(config);
  const tensors = ggufTensors(layout, source, dtype);
  const rows = Number(config.vocab_size);
  if (vocabularySize > rows) {
    throw new CheckpointError(
      `${name}: the tokenizer has ${vocabularySize} tokens, the model ${rows}; they do not belong together`,
    );
  }
  const metadata = new Map<string, GgufValue>([
    ["general.architecture", { type: "string", value: layout.architecture }],
    ["general.type", { type: "string", value: "model" }],
    ["general.name", { type: "string", value: name }],
    ["general.file_type", { type: "uint32", value: fileTypes[dtype] }],
    ...(tensors.some((tensor) => tensor.dtype.startsWith("Q")) ? [quantizationVersion] : []),
    ...modelMetadata(layout, config),
    ...tokenizerMetadata(encoder, rows),
  ]);
  return { metadata, tensors };
}

/** Of the block formats as they have been since 2023. */
const quantizationVersion: [string, GgufValue] = ["general.quantization_version", { type: "uint32", value: 2 }];

/**
 * How llama.cpp names and arranges models of a `model_type`.
 *
 * @throws {UnsupportedError} when they cannot be written, naming those that can.
 */
export function ggufLayoutFor(modelType: unknown): GgufLayout {
  const layout = ggufLayouts.find((candidate) => candidate.modelType === modelType);
  if (layout) return layout;
  const known = ggufLayouts.map((candidate) => candidate.modelType).join(", ");
  throw new UnsupportedError(
    `gguf: a model of type ${modelType} cannot be written for llama.cpp; those that can are ${known}`,
  );
}

function layoutOf(config: ModelConfig): GgufLayout {
  const layout = ggufLayoutFor(config.model_type);
  for (const [key, value] of Object.entries(layout.fixed)) {
    if ((config[key] ?? value) !== value) {
      throw new UnsupportedError(
        `gguf: llama.cpp runs ${layout.modelType} only with ${key} ${value}, this model has ${config[key]}`,
      );
    }
  }
  return layout;
}

function modelMetadata({ keys, architecture }: GgufLayout, config: ModelConfig): [string, GgufValue][] {
  const own = keys.map(({ config: key, gguf, type, otherwise }): [string, GgufValue] => [
    gguf,
    { type, value: Number(config[key] ?? otherwise?.(config)) },
  ]);
  return [...own, ...scalingMetadata(config)].map(([key, value]) => [`${architecture}.${key}`, value]);
}

function ggufTensors(layout: GgufLayout, { config, tensors }: GgufSource, dtype: GgufDtype): GgufTensor[] {
  const counts = { heads: Number(config[layout.heads.config]), keyValueHeads: Number(config[layout.heads.keyValue]) };
  const groups = new Map<string, { entry: GgufTensorName; parts: WritableTensor[] }>();
  for (const tensor of tensors) {
    const [entry, layer] = entryOf(layout, tensor.name);
    const name = entry.gguf.replace("#", layer);
    const group = groups.get(name) ?? { entry, parts: [] };
    group.parts.push(tensor);
    groups.set(name, group);
  }
  const divisors = divisorsOf(config);
  return [
    ...[...groups].map(([name, { entry, parts }]) => ggufTensor(name, entry, parts, { counts, dtype })),
    ...(divisors ? [vector(rotaryDivisors, divisors)] : []),
  ];
}

/** What the layout says of a tensor of a folder, and the number of its layer. */
function entryOf(layout: GgufLayout, name: string): readonly [entry: GgufTensorName, layer: string] {
  const [, layer = ""] = /\.(\d+)\./.exec(name) ?? [];
  const general = name.replace(/\.\d+\./, ".#.").replace(/\.\d+\./, ".@.");
  const entry = layout.tensors.find(({ folder }) => folder === general);
  if (!entry) throw new Error(`internal: ${name} has no name in GGUF files of ${layout.architecture}`);
  return [entry, layer];
}

function ggufTensor(
  name: string,
  entry: GgufTensorName,
  parts: readonly WritableTensor[],
  { counts, dtype }: { readonly counts: HeadCounts; readonly dtype: GgufDtype },
): GgufTensor {
  const { arrangement } = entry;
  const inFolder: Shape = parts[0]?.shape ?? [];
  const one = arrangement.shape(inFolder);
  const shape = entry.folder.includes("@") ? [parts.length, ...one] : one;
  return {
    name,
    shape,
    dtype: dtypeOf(entry, shape, dtype),
    async read() {
      const all = new Float32Array(elementCount(shape));
      for (const [i, part] of parts.entries()) {
        const values = await part.read();
        if (values instanceof Int32Array) throw new Error(`internal: ${part.name} holds integers`);
        all.set(arrangement.toGguf(values, part.shape, counts), (i * all.length) / parts.length);
      }
      return all;
    },
  };
}

function dtypeOf({ gguf, isExact }: GgufTensorName, shape: Shape, dtype: GgufDtype): GgufDtype {
  if (isExact || shape.length === 1) return "F32";
  if (!dtype.startsWith("Q")) return dtype;
  if ((shape.at(-1) ?? 1) % 32 !== 0) return "F16";
  return /^(token_embd|output)\./.test(gguf) ? "Q8_0" : dtype;
}

function vector(name: string, values: Float32Array): GgufTensor {
  return { name, shape: [values.length], dtype: "F32", read: () => values };
}
