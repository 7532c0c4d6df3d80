import { stat } from "node:fs/promises";
import { z } from "zod";
import { SettingsError } from "../core/errors.ts";
import { shellLine } from "../core/shell-line.ts";
import { importGguf } from "../models/gguf/files.ts";
import { defineCommand } from "./command.ts";
import { overwriteSetting, refuseTakenOutput } from "./free-output.ts";

const dtypes = { f32: "F32", f16: "F16", bf16: "BF16" } as const;

/** `stemma import`: a model of other programs as a model folder. */
export const importModel = defineCommand({
  name: "import",
  summary: "turn a GGUF file into a model folder; folders of Hugging Face need no import",
  group: "Data and files",
  settings: z.object({
    model: z.string().min(1).describe("GGUF file").meta({ placeholder: "file" }),
    output: z.string().min(1).describe("model folder to write").meta({ placeholder: "folder" }),
    quantization: z
      .enum(Object.keys(dtypes) as [keyof typeof dtypes])
      .default("f32")
      .describe("type of the weights in the folder (also --type)")
      .meta({ aliases: ["type", "dtype"] }),
    overwrite: overwriteSetting,
  }),
  examples: ["stemma import --model model.gguf --output imported"],
  async run({ model, output, quantization, overwrite }, io) {
    await refuseTakenOutput({ command: "import", sources: [model], output, kind: "folder", overwrite });
    if (await isFolder(model)) {
      throw new SettingsError(
        `model: ${model} is a folder, and folders of Hugging Face need no import; give it to --model of any command as it is, or name a GGUF file`,
      );
    }
    const noTokenizer = await importGguf(model, output, { dtype: dtypes[quantization] });
    if (noTokenizer !== null) io.note(`import: no tokenizer was written: ${noTokenizer}; put the original files there`);
    const next = shellLine("stemma", "generate", "--model", output, "--prompt", "Once upon a time");
    io.print(`${output}: a model folder of ${quantization}${noTokenizer === null ? `; next: ${next}` : ""}`);
    return { output, quantization, hasTokenizer: noTokenizer === null };
  },
});

/** What is missing is no folder; whoever opens it says so. */
async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (there) => there.isDirectory(),
    () => false,
  );
}
