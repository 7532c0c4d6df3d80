import { z } from "zod";
import { machineSettings, openMachine } from "../backend/machine-settings.ts";
import { SettingsError } from "../core/errors.ts";
import { shellLine } from "../core/shell-line.ts";
import { isAdapterFolder } from "../models/adapter-folder.ts";
import { mergeAdapters } from "../models/merge-adapters.ts";
import { addedAdapterSettings } from "../stages/adapter-settings.ts";
import { defineCommand } from "./command.ts";
import { overwriteSetting, refuseTakenOutput } from "./free-output.ts";

const dtypes = { f32: "F32", f16: "F16", bf16: "BF16" } as const;

/** `stemma merge`: a model and its adapters as one model folder. */
export const merge = defineCommand({
  name: "merge",
  summary: "add adapters to the matrices of their model, and write it as a folder of its own",
  group: "Data and files",
  settings: z.object({
    model: z.string().min(1).describe("model folder that the adapters were made for, or an adapter's own").meta({
      placeholder: "folder",
      isPath: true,
    }),
    ...addedAdapterSettings,
    output: z.string().min(1).describe("model folder to write").meta({ placeholder: "folder" }),
    quantization: z
      .enum(Object.keys(dtypes) as [keyof typeof dtypes])
      .optional()
      .describe("type of the weights (also --type; default: the model's own)")
      .meta({ aliases: ["type", "dtype"] }),
    overwrite: overwriteSetting,
    ...machineSettings,
  }),
  examples: [
    "stemma merge --model base --adapter runs/mine/adapter --output merged",
    "stemma merge --model runs/mine/final --output merged",
  ],
  async run({ model, adapter, output, quantization, overwrite, ...machine }, io) {
    if (adapter.length === 0 && !isAdapterFolder(model)) {
      throw new SettingsError(
        `adapter: there is none to merge, and ${model} is a whole model (final/ of a run on float32 matrices has its ` +
          "adapters in it); give --adapter FOLDER, or an adapter's folder as --model",
      );
    }
    const sources = [model, ...adapter];
    await refuseTakenOutput({ command: "merge", sources, output, kind: "folder", overwrite });
    const backend = await openMachine(machine, io);
    const options = { dtype: quantization ? dtypes[quantization] : null };
    const dtype = (await mergeAdapters(model, adapter, output, backend, options)).toLowerCase();
    const next = shellLine("stemma", "generate", "--model", output, "--prompt", "Once upon a time");
    io.print(`${output}: a model folder of ${dtype}; next: ${next}`);
    return { output, quantization: dtype };
  },
});
