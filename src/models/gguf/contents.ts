import { toStored } from "../../checkpoint/assign-tensors.ts";
import type { GgufValue } from "../../checkpoint/gguf-values.ts";
import type { GgufContents, GgufTensor } from "../../checkpoint/gguf-writer.ts";
import type { WritableTensor } from "../../checkpoint/tensor-source.ts";
import { CheckpointError } from "../../core/errors.ts";
import type { Shape } from "../../core/shape.ts";
import { elementCount } from "../../core/shape.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import type { HeadCounts } from "./arrangement.ts";
import { arrangedShape } from "./arrangement.ts";
import { numberOf } from "./keys.ts";
import type { GgufTensorName } from "./layout.ts";
import type { GgufMixture, MixedModel } from "./mixtures.ts";
import { dtypeInMixture, fileTypes } from "./mixtures.ts";
import type { ExportedModel, GgufPlan } from "./plan.ts";
import { embeddingInFile, ggufPlan, placeInFile } from "./plan.ts";

/** What a GGUF file is made from. */
export interface GgufSource extends ExportedModel {
  /** `general.name` of the file. */
  readonly name: string;
  readonly tokenizer: Tokenizer;
  /** What the file says of the tokenizer; `rows` is the height of the model's embedding. */
  readonly tokenizerMetadata: (rows: number) => ReadonlyMap<string, GgufValue>;
  /** Further entries of the architecture. */
  readonly more?: readonly (readonly [string, GgufValue])[];
}

/**
 * A model as llama.cpp opens it. Matrices are of the formats of a mixture. Norms, biases, positions and routers stay float32.
 *
 * @throws {UnsupportedError} when llama.cpp has no such model or tokenizer.
 * @throws {CheckpointError} when the tokenizer has more tokens than the model.
 */
export async function ggufContents(source: GgufSource, mixture: GgufMixture): Promise<GgufContents & Differing> {
  const { settings, name, tokenizer, more = [] } = source;
  const { vocabularySize } = tokenizer;
  const rows = settings.vocabularySize;
  if (vocabularySize > rows) {
    throw new CheckpointError(
      `${name}: the tokenizer has ${vocabularySize} tokens, the model ${rows}; they do not belong together`,
    );
  }
  const plan = await ggufPlan(source);
  const tensors = ggufTensors(plan, source, mixture);
  const metadata = new Map<string, GgufValue>([
    ["general.architecture", { type: "string", value: plan.layout.architecture }],
    ["general.type", { type: "string", value: "model" }],
    ["general.name", { type: "string", value: harmlessName(name, tokenizer) }],
    ["general.file_type", { type: "uint32", value: fileTypes[mixture] }],
    ...(tensors.some((tensor) => tensor.dtype.startsWith("Q")) ? [quantizationVersion] : []),
    ...plan.metadata,
    ...more.map(([key, value]): [string, GgufValue] => [`${plan.layout.architecture}.${key}`, value]),
    ...source.tokenizerMetadata(rows),
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

function ggufTensors(plan: GgufPlan, { tensors, settings }: GgufSource, mixture: GgufMixture): GgufTensor[] {
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
  const all = [...groups].map(([name, { entry, parts }]) => arranged(name, entry, parts, counts));
  const embedding = all.find(({ name }) => name === embeddingInFile);
  const copies = layout.output === "required" && settings.tiedEmbeddings && embedding;
  const matrices = [...all, ...(copies ? [{ ...copies, name: outputInFile }] : [])];
  const mixed = mixedModel(plan, !matrices.some(({ name }) => name === outputInFile));
  return [
    ...matrices.map(({ isExact, ...tensor }): GgufTensor => {
      const dtype = isExact || tensor.shape.length === 1 ? "F32" : dtypeInMixture(mixture, tensor, mixed);
      return { ...tensor, dtype };
    }),
    ...plan.divisors.map(([name, values]) => vector(name, values)),
  ];
}

/** What files call an output layer of its own. */
const outputInFile = "output.weight";

function mixedModel({ layout: { architecture }, metadata }: GgufPlan, isTied: boolean): MixedModel {
  const told = new Map(metadata);
  const count = (key: string): number => numberOf(told.get(`${architecture}.${key}`)) ?? 0;
  return { architecture, isTied, layers: count("block_count"), experts: count("expert_count") };
}

/** A tensor of a file whose format is yet to be chosen, unless it has to be exact. */
interface ArrangedTensor extends Omit<GgufTensor, "dtype"> {
  readonly isExact: boolean;
}

function arranged(
  name: string,
  entry: GgufTensorName,
  parts: readonly WritableTensor[],
  counts: HeadCounts,
): ArrangedTensor {
  const { arrangement, isExact } = entry;
  const inFolder: Shape = parts[0]?.shape ?? [];
  const one = arrangedShape(arrangement, inFolder, counts);
  const form = { ...arrangement(inFolder[0] ?? 1, counts), tensor: { shape: inFolder } };
  const shape = entry.folder.includes("@") ? [parts.length, ...one] : one;
  return {
    name,
    shape,
    isExact,
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

function vector(name: string, values: Float32Array): GgufTensor {
  return { name, shape: [values.length], dtype: "F32", read: () => values };
}
