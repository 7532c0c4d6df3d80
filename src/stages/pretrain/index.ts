import type { Backend } from "../../backend/kernels.ts";
import { SettingsError } from "../../core/errors.ts";
import { openStageBackend } from "../assistant.ts";
import type { StageEnvironment, StageRun } from "../stage.ts";
import { defineStage } from "../stage.ts";
import { pretrainDecoder } from "./decoder.ts";
import { pretrainEncoder } from "./encoder.ts";
import { modelTypeOf } from "./model.ts";
import { PretrainSettings } from "./settings.ts";
import { pretrainTextToText } from "./text-to-text.ts";

type Pretraining = (settings: PretrainSettings, environment: StageEnvironment, backend: Backend) => Promise<StageRun>;

/** What models of other shapes than a decoder learn, by `model_type`. */
const otherShapes: Readonly<Record<string, Pretraining>> = { bert: pretrainEncoder, t5: pretrainTextToText };

/** Settings of what single shapes learn, and whose they are. */
const ofShapes = {
  maskRate: ["bert", "t5"],
  wholeWords: ["bert"],
  nextSentence: ["bert"],
  spanLength: ["t5"],
} as const satisfies Partial<Record<keyof PretrainSettings, readonly string[]>>;

/** Pretraining of a new model, or of one that exists, on text: what it learns depends on its shape. */
export const pretrain = defineStage({
  name: "pretrain",
  summary: "train a language model on text",
  settings: PretrainSettings,
  examples: [
    "stemma pretrain --model gpt2 --data book.txt --tokenizer bpe-2048 --steps 1000 --output runs/book",
    "stemma pretrain --model bert --data book.txt --whole-words --output runs/bert",
    "stemma pretrain --output runs/book --resume",
  ],
  async prepare(given, environment) {
    const settings = withoutAlias(given);
    const backend = await openStageBackend(settings, environment);
    const modelType = await modelTypeOf(settings, environment);
    const ofOtherShape = otherShapes[modelType];
    if (ofOtherShape && settings.objective !== "auto") {
      throw new SettingsError(
        `objective: ${settings.objective} is for decoders, this is a ${modelType}, whose shape says what it learns; ` +
          "leave --objective out",
      );
    }
    for (const [key, shapes] of Object.entries(ofShapes)) {
      if (settings[key as keyof typeof ofShapes] === undefined || shapes.some((shape) => shape === modelType)) continue;
      throw new SettingsError(`${key}: is for ${shapes.join(" and ")}, this is a ${modelType}; leave it out`);
    }
    return (ofOtherShape ?? pretrainDecoder)(settings, environment, backend);
  },
});

/** A prefix language model is a GPT-2 that is trained in another way. */
function withoutAlias(settings: PretrainSettings): PretrainSettings {
  return settings.model === "prefix" ? { ...settings, model: "gpt2", objective: "prefix" } : settings;
}
