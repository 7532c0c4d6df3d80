import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { openReference } from "../backend/reference/index.ts";
import { convertFolder } from "../checkpoint/convert-folder.ts";
import { openGguf } from "../checkpoint/gguf.ts";
import { isBlockType } from "../checkpoint/gguf-values.ts";
import type { FloatDtype } from "../checkpoint/tensor-source.ts";
import { formatBytes } from "../core/byte-size.ts";
import { SettingsError } from "../core/errors.ts";
import { findLlamaCpp } from "../eval/llama-cpp.ts";
import { writeFileAtomic } from "../files/atomic-write.ts";
import { isGgufPath } from "../files/gguf-path.ts";
import { isAdapterFolder } from "../models/adapter-folder.ts";
import { exportGgufAdapter } from "../models/gguf/adapter.ts";
import { exportGguf, modelfileFor } from "../models/gguf/files.ts";
import type { GgufMixture } from "../models/gguf/mixtures.ts";
import { blockOf } from "../models/gguf/mixtures.ts";
import type { Modelfile } from "../models/gguf/modelfile.ts";
import { openModel } from "../models/load.ts";
import { mergeAdapters } from "../models/merge-adapters.ts";
import { addedAdapterSettings } from "../stages/adapter-settings.ts";
import type { Io } from "./command.ts";
import { defineCommand } from "./command.ts";
import { proveExport } from "./export-proof.ts";
import { overwriteSetting, refuseTakenOutput } from "./free-output.ts";

const mixtures = {
  ...({ f32: "F32", f16: "F16", bf16: "BF16", q8_0: "Q8_0", q6_k: "Q6_K" } as const),
  ...({ q5_k_m: "Q5_K_M", q5_0: "Q5_0", q4_k_m: "Q4_K_M", q4_0: "Q4_0" } as const),
} satisfies Record<string, GgufMixture>;

const settings = z.object({
  model: z.string().min(1).describe("model folder, or GGUF file").meta({ placeholder: "path", isPath: true }),
  ...addedAdapterSettings,
  format: z
    .enum(["gguf", "gguf-adapter", "safetensors"])
    .default("gguf")
    .describe("what to write; gguf-adapter is the one --adapter, to be added to its model by llama.cpp"),
  output: z.string().min(1).describe("GGUF file, or model folder, to write").meta({ placeholder: "path" }),
  quantization: z
    .enum(Object.keys(mixtures) as [keyof typeof mixtures])
    .default("f32")
    .describe("type of the weights (also --type); all but f32, f16 and bf16 are for GGUF")
    .meta({ aliases: ["type", "dtype", "quantize"] }),
  maxShardMegabytes: z
    .number()
    .positive()
    .default(5000)
    .describe("largest weights file of a folder, in MB; larger models are split"),
  modelfile: z.boolean().default(false).describe("write the Modelfile beside a GGUF file by which Ollama takes it"),
  system: z.string().min(1).nullable().default(null).describe("system prompt of the Modelfile").meta({
    placeholder: "text",
  }),
  prove: z
    .boolean()
    .default(false)
    .describe(
      "let llama.cpp (node-llama-cpp, to be installed beside) read the GGUF file, and compare what it makes of it",
    ),
  overwrite: overwriteSetting,
});
type Settings = z.output<typeof settings>;

/** `stemma export`: a model for other programs. */
export const exportModel = defineCommand({
  name: "export",
  summary: "write a model as GGUF for llama.cpp and Ollama, or as safetensors of another type or file size",
  group: "Data and files",
  settings,
  examples: [
    "stemma export --model runs/sft/final --quantization q4_k_m --modelfile --output model.gguf",
    "stemma export --model runs/sft/final --output model.gguf --prove",
    "stemma export --model base --adapter runs/mine/adapter --format gguf-adapter --output adapter.gguf",
    "stemma export --model runs/sft/final --format safetensors --quantization bf16 --output smaller",
  ],
  async run(given, io) {
    const { model, adapter, format, output, overwrite } = given;
    refuseMixed(given);
    const kind = format === "safetensors" ? "folder" : "file";
    const sources = [model, ...adapter];
    await refuseTakenOutput({ command: "export", sources, output, kind, overwrite });
    refuseOtherName(given);
    const modelfile = given.modelfile ? await planModelfile(given) : null;
    const llamaCpp = given.prove ? findLlamaCpp() : null;
    const result = await { gguf: writeFile, "gguf-adapter": writeAdapter, safetensors: writeFolder }[format](given, io);
    if (modelfile) await writeModelfile(modelfile, io);
    const proof = llamaCpp === null ? {} : { proof: await proveExport(output, llamaCpp, io) };
    return { output, format, quantization: given.quantization, ...result, ...proof };
  },
});

/** Whoever names no GGUF file wants a folder, or one that no command would take for what it is. */
function refuseOtherName({ format, output }: Settings): void {
  if (format === "safetensors" || isGgufPath(output)) return;
  throw new SettingsError(
    `output: ${output} does not end in .gguf; name the file so, or add --format safetensors for a model folder`,
  );
}

/** Settings that are for other formats than the one that is written. */
function refuseMixed({ model, format, quantization, modelfile, system, prove, adapter }: Settings): void {
  if (format !== "gguf" && prove)
    throw new SettingsError(`prove: is for --format gguf, not for ${format}; leave it out`);
  if (format === "safetensors" && modelfile) {
    throw new SettingsError("modelfile: Ollama takes GGUF files; write one with --format gguf");
  }
  if (format === "gguf-adapter" && modelfile && !isGgufPath(model)) {
    throw new SettingsError(
      `modelfile: it names the adapter's model as a GGUF file, ${model} is none; export that first, and give it to --model`,
    );
  }
  if (system !== null && !modelfile) throw new SettingsError("system: is for the Modelfile; add --modelfile");
  if (format === "gguf-adapter" && adapter.length !== 1) {
    throw new SettingsError(
      `adapter: --format gguf-adapter writes one, ${adapter.length} are given; name one with --adapter`,
    );
  }
  if (format !== "gguf" && !isFloat(mixtures[quantization])) {
    throw new SettingsError(
      `export: --quantization ${quantization} is for --format gguf; ${format} takes f32, f16 or bf16`,
    );
  }
}

function isFloat(mixture: GgufMixture): mixture is FloatDtype {
  return mixture === "F32" || mixture === "F16" || mixture === "BF16";
}

async function writeFile({ model, adapter, output, quantization }: Settings, io: Io): Promise<object> {
  const blocks = blockOf(mixtures[quantization]) > 1 ? await blocksIn(model) : [];
  if (blocks.length > 0) io.note(`${model}: has blocks (${blocks.join(", ")}) that are rounded anew; f32 keeps them`);
  const difference = await exportGguf(model, output, mixtures[quantization], adapter);
  if (difference !== null) io.note(`answers will differ: ${difference}`);
  const narrow = await narrowMatrices(output, blockOf(mixtures[quantization]));
  if (narrow !== null) io.note(`${quantization}: ${narrow}`);
  const { size } = await stat(output);
  io.print(`${output}: ${formatBytes(size)} of ${quantization}; any program built on llama.cpp opens it`);
  return { bytes: size };
}

/** Formats of blocks that a model's matrices lie in. */
async function blocksIn(model: string): Promise<string[]> {
  const { tensors, close } = await openModel(model);
  await close();
  const formats = new Set(tensors.names().map((name) => tensors.info(name).dtype));
  return [...formats].filter(isBlockType).map((format) => format.toLowerCase());
}

/** Which matrices of a file are of another format since their rows are no whole blocks, or null. */
async function narrowMatrices(path: string, block: number): Promise<string | null> {
  const file = await openGguf(path);
  await file.close();
  const matrices = file.names().filter((name) => file.info(name).shape.length > 1);
  const narrow = matrices.filter((name) => (file.info(name).shape.at(-1) ?? 0) % block !== 0);
  const [first] = narrow;
  if (first === undefined) return null;
  const instead = [...new Set(narrow.map((name) => file.info(name).dtype.toLowerCase()))].join(", ");
  return (
    `rows of ${narrow.length} of ${matrices.length} matrices (${first}: ${file.info(first).shape.at(-1)}) are no multiple ` +
    `of its blocks of ${block}; these are ${instead}`
  );
}

async function writeAdapter(
  { model, adapter: [adapter = ""], output, quantization }: Settings,
  io: Io,
): Promise<object> {
  const matrices = await exportGgufAdapter(model, adapter, output, floatOf(quantization));
  io.print(`${output}: changes of ${matrices} matrices; llama.cpp adds them to a GGUF file of the model (--lora)`);
  return { matrices };
}

async function writeFolder(given: Settings, io: Io): Promise<object> {
  const { model, adapter, output, quantization, maxShardMegabytes } = given;
  const options = { dtype: floatOf(quantization), maxShardBytes: maxShardMegabytes * 1e6 };
  if (adapter.length === 0 && !isAdapterFolder(model)) await convertFolder(model, output, options);
  else await mergeAdapters(model, adapter, output, openReference(), options);
  io.print(`${output}: a model folder of ${quantization}`);
  return {};
}

function floatOf(quantization: keyof typeof mixtures): FloatDtype {
  const mixture = mixtures[quantization];
  return isFloat(mixture) ? mixture : "F32";
}

/** What a Modelfile says, and where; found out before anything is written, since it may be refused. */
async function planModelfile(given: Settings): Promise<Modelfile & { readonly path: string }> {
  const { model, adapter, format, output, system, overwrite } = given;
  const path = join(dirname(output), "Modelfile");
  const sources = [model, ...adapter];
  await refuseTakenOutput({ command: "export", sources, output: path, kind: "file", overwrite });
  const files = format === "gguf" ? { model: output, adapter: null } : { model, adapter: output };
  return { ...(await modelfileFor(model, path, { ...files, system })), path };
}

async function writeModelfile(
  { path, text, noTemplate }: Awaited<ReturnType<typeof planModelfile>>,
  io: Io,
): Promise<void> {
  await writeFileAtomic(path, text);
  if (noTemplate !== null) io.note(`${path}: has no TEMPLATE: ${noTemplate}`);
  io.print(`${path}: next: ollama create NAME -f ${path}`);
}
