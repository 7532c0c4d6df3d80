import { toStored } from "../../checkpoint/assign-tensors.ts";
import { tokenizerMetadata } from "../../checkpoint/gguf-tokenizer.ts";
import type { GgufValue } from "../../checkpoint/gguf-values.ts";
import type { GgufContents, GgufDtype, GgufTensor } from "../../checkpoint/gguf-writer.ts";
import type { WritableTensor } from "../../checkpoint/tensor-source.ts";
import { CheckpointError } from "../../core/errors.ts";
import type { Shape } from "../../core/shape.ts";
import { elementCount } from "../../core/shape.ts";
import type { ChatEncoder } from "../../text/encode-chat.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import type { HeadCounts } from "./arrangement.ts";
import { arrangedShape } from "./arrangement.ts";
import type { GgufTensorName } from "./layout.ts";
import type { GgufPlan, PlannedModel } from "./plan.ts";
import { embeddingInFile, ggufPlan, placeInFile } from "./plan.ts";

/** What a GGUF file is made from. */
export interface GgufSource extends PlannedModel {
  /** `general.name` of the file. */
  readonly name: string;
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
export async function ggufContents(source: GgufSource, dtype: GgufDtype): Promise<GgufContents & Differing> {
  const { settings, name, encoder } = source;
  const { vocabularySize } = encoder.tokenizer;
  const rows = settings.vocabularySize;
  if (vocabularySize > rows) {
    throw new CheckpointError(
      `${name}: the tokenizer has ${vocabularySize} tokens, the model ${rows}; they do not belong together`,
    );
  }
  const plan = await ggufPlan(source);
  const tensors = ggufTensors(plan, source, dtype);
  const metadata = new Map<string, GgufValue>([
    ["general.architecture", { type: "string", value: plan.layout.architecture }],
    ["general.type", { type: "string", value: "model" }],
    ["general.name", { type: "string", value: harmlessName(name, encoder.tokenizer) }],
    ["general.file_type", { type: "uint32", value: fileTypes[dtype] }],
    ...(tensors.some((tensor) => tensor.dtype.startsWith("Q")) ? [quantizationVersion] : []),
    ...plan.metadata,
    ...tokenizerMetadata(encoder, rows),
  ]);
  return { metadata, tensors, differs: plan.layout.differs?.(settings) ?? null };
}

/** llama.cpp gives up a file whose name says Phi-3 where the tokens that it then asks for are missing. */
function harmlessName(name: string, tokenizer: Tokenizer): string {
  const asked = ["</s>", "<unk>", "<s>", "<|endoftext|>"];
  return asked.every((token) => tokenizer.idOf(token) !== null) ? name : name.replace(/phi-?3/gi, "phi_3");
}

/** In what llama.cpp computes otherwise than the model, or null. */
interface Differing {
  readonly differs: string | null;
}

/** Of the block formats as they have been since 2023. */
const quantizationVersion: [string, GgufValue] = ["general.quantization_version", { type: "uint32", value: 2 }];

function ggufTensors(plan: GgufPlan, { tensors, settings }: GgufSource, dtype: GgufDtype): GgufTensor[] {
  const { layout, counts } = plan;
  const groups = new Map<string, { entry: GgufTensorName; parts: WritableTensor[] }>();
  for (const tensor of tensors) {
    const { entry, name } = placeInFile(layout, tensor.name) ?? {};
    if (!entry || name === undefined) {
      throw new Error(`internal: ${tensor.name} has no name in GGUF files of ${layout.architecture}`);
    }
    const group = groups.get(name) ?? { entry, parts: [] };
    group.parts.push(tensor);
    groups.set(name, group);
  }
  const all = [...groups].map(([name, { entry, parts }]) => ggufTensor(name, entry, parts, { counts, dtype }));
  const embedding = all.find(({ name }) => name === embeddingInFile);
  const copies = layout.output === "required" && settings.tiedEmbeddings && embedding;
  return [
    ...all,
    ...(copies ? [{ ...copies, name: "output.weight" }] : []),
    ...plan.divisors.map(([name, values]) => vector(name, values)),
  ];
}

function ggufTensor(
  name: string,
  entry: GgufTensorName,
  parts: readonly WritableTensor[],
  { counts, dtype }: { readonly counts: HeadCounts; readonly dtype: GgufDtype },
): GgufTensor {
  const { arrangement } = entry;
  const inFolder: Shape = parts[0]?.shape ?? [];
  const one = arrangedShape(arrangement, inFolder, counts);
  const form = { ...arrangement(inFolder[0] ?? 1, counts), tensor: { shape: inFolder } };
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
        all.set(toStored(form, values), (i * all.length) / parts.length);
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
