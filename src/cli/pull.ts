import { z } from "zod";
import { formatBytes } from "../core/byte-size.ts";
import { defineCommand } from "./command.ts";
import { showPull } from "./hub-models.ts";

const PullSettings = z.object({
  model: z
    .string()
    .min(1)
    .describe("model repository: ORG/NAME, ORG/NAME@revision, or ORG/NAME:file for one file, such as a GGUF")
    .meta({ positional: true, placeholder: "org/name" }),
});

/** `stemma pull`: a model from the hub into the cache that other programs use, too. */
export const pull = defineCommand({
  name: "pull",
  summary: "fetch a model from the Hugging Face hub; every --model takes hub:ORG/NAME, too",
  group: "Data and files",
  settings: PullSettings,
  examples: [
    "stemma pull HuggingFaceTB/SmolLM2-135M-Instruct",
    "stemma generate --model hub:HuggingFaceTB/SmolLM2-135M --prompt Once",
  ],
  async run({ model }, io) {
    const { pullModel } = await import("../hub/pull-model.ts");
    const pulled = await showPull(io, (options) => pullModel(model, options));
    const fetched = pulled.fetched === 0 ? "was there already" : `${formatBytes(pulled.fetched)} fetched`;
    io.note(`${pulled.name}@${pulled.commit}: ${fetched}`);
    io.print(pulled.path);
    return pulled;
  },
});
