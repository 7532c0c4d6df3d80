import { stat } from "node:fs/promises";
import { z } from "zod";
import { openReference } from "../backend/reference/index.ts";
import { convertFolder } from "../checkpoint/convert-folder.ts";
import { SettingsError } from "../core/errors.ts";
import { exportGguf } from "../models/gguf/files.ts";
import type { GgufMixture } from "../models/gguf/mixtures.ts";
import { mergeAdapters } from "../models/merge-adapters.ts";
import { addedAdapterSettings } from "../stages/adapter-settings.ts";
import { defineCommand } from "./command.ts";
import { overwriteSetting, refuseTakenOutput } from "./free-output.ts";

const mixtures = {
  ...({ f32: "F32", f16: "F16", bf16: "BF16", q8_0: "Q8_0", q6_k: "Q6_K" } as const),
  ...({ q5_k_m: "Q5_K_M", q5_0: "Q5_0", q4_k_m: "Q4_K_M", q4_0: "Q4_0" } as const),
} satisfies Record<string, GgufMixture>;

/** `stemma export`: a model for other programs. */
export const exportModel = defineCommand({
  name: "export",
  summary: "write a model as GGUF for llama.cpp, or as safetensors of another type or file size",
  group: "Data and files",
  settings: z.object({
    model: z.string().min(1).describe("model folder").meta({ placeholder: "folder" }),
    ...addedAdapterSettings,
    format: z.enum(["gguf", "safetensors"]).default("gguf").describe("what to write"),
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
    overwrite: overwriteSetting,
  }),
  examples: [
    "stemma export --model runs/sft/final --quantization q8_0 --output model.gguf",
    "stemma export --model runs/sft/final --format safetensors --quantization bf16 --output smaller",
  ],
  async run({ model, adapter, format, output, quantization, maxShardMegabytes, overwrite }, io) {
    const dtype = mixtures[quantization];
    const kind = format === "gguf" ? "file" : "folder";
    await refuseTakenOutput({ command: "export", sources: [model, ...adapter], output, kind, overwrite });
    if (format === "gguf") {
      const difference = await exportGguf(model, output, dtype, adapter);
      if (difference !== null) io.note(`answers will differ: ${difference}`);
      const { size } = await stat(output);
      io.print(`${output}: ${(size / 1e6).toFixed(1)} MB of ${quantization}; any program built on llama.cpp opens it`);
      return { output, format, quantization, bytes: size };
    }
    if (dtype !== "F32" && dtype !== "F16" && dtype !== "BF16") {
      throw new SettingsError(
        `export: --quantization ${quantization} is for --format gguf; safetensors take f32, f16 or bf16`,
      );
    }
    const options = { dtype, maxShardBytes: maxShardMegabytes * 1e6 };
    if (adapter.length === 0) await convertFolder(model, output, options);
    else await mergeAdapters(model, adapter, output, openReference(), options);
    io.print(`${output}: a model folder of ${quantization}`);
    return { output, format, quantization };
  },
});
