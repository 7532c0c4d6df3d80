import type { Backend } from "../../backend/kernels.ts";
import { openMachine } from "../../backend/machine-settings.ts";
import { SettingsError } from "../../core/errors.ts";
import type { AnyFamily, Architecture } from "../../models/family.ts";
import { families, otherFamilies } from "../../models/index.ts";
import { weightsOf } from "../adapter-run.ts";
import type { StageEnvironment, StageRun } from "../stage.ts";
import { defineStage } from "../stage.ts";
import { pretrainDecoder } from "./decoder.ts";
import { pretrainEncoder } from "./encoder.ts";
import { familyOfRun } from "./model.ts";
import { PretrainSettings } from "./settings.ts";
import { pretrainTextToText } from "./text-to-text.ts";

type Pretraining = (settings: PretrainSettings, environment: StageEnvironment, backend: Backend) => Promise<StageRun>;

const pretrainings: Readonly<Record<Architecture, Pretraining>> = {
  decoder: pretrainDecoder,
  encoder: pretrainEncoder,
  "encoder-decoder": pretrainTextToText,
};

/** Settings of what single architectures learn, and whose they are. */
const ownSettings = {
  objective: ["decoder"],
  maskRate: ["encoder", "encoder-decoder"],
  wholeWords: ["encoder"],
  nextSentence: ["encoder"],
  spanLength: ["encoder-decoder"],
} as const satisfies Partial<Record<keyof PretrainSettings, readonly Architecture[]>>;

/** Pretraining of a new model, or of one that exists, on text: what it learns depends on its architecture. */
export const pretrain = defineStage({
  name: "pretrain",
  summary: "train a language model on text",
  settings: PretrainSettings,
  beginning: ["model", "objective", "tokenizer", "layers", "heads", "width", "dropout"],
  examples: [
    "stemma pretrain --model gpt2 --data book.txt --tokenizer bpe-2048 --steps 1000 --output runs/book",
    "stemma pretrain --model bert --data book.txt --whole-words --output runs/bert",
    "stemma pretrain --output runs/book --resume",
  ],
  async prepare(given, environment) {
    const settings = withoutAlias(given);
    const backend = await openMachine(settings, environment);
    const family = await familyOfRun(settings, environment);
    const { architecture = "decoder" } = family;
    refuseOthers(settings, architecture, family.modelType);
    refuseAdapters(settings, architecture);
    return pretrainings[architecture](settings, environment, backend);
  },
});

/** @throws {SettingsError} when a setting is of another architecture. */
function refuseOthers(
  settings: Pick<PretrainSettings, keyof typeof ownSettings>,
  architecture: Architecture,
  modelType: string,
): void {
  for (const [key, owners] of Object.entries<readonly Architecture[]>(ownSettings)) {
    const value = settings[key as keyof typeof ownSettings];
    if (value === undefined || value === "auto" || owners.includes(architecture)) continue;
    const others = Object.entries<AnyFamily>(otherFamilies).filter(([, family]) =>
      owners.includes(family.architecture ?? "decoder"),
    );
    const whose = others.length > 0 ? others.map(([name]) => name).join(", ") : "decoders";
    throw new SettingsError(`${key}: is for ${whose}, this is a ${modelType}; leave it out`);
  }
}

/**
 * Adapters are for models that exist and write; of the others `finetune` adapts encoders.
 *
 * @throws {SettingsError} when there is nothing to adapt, or matrices that are trained are to lie in a format.
 */
function refuseAdapters(settings: PretrainSettings, architecture: Architecture): void {
  const { loraRank, model } = settings;
  weightsOf(settings);
  if (loraRank === 0) return;
  if (architecture !== "decoder") {
    throw new SettingsError(`lora-rank: is for decoders, this is an ${architecture}; leave it out`);
  }
  if (Object.hasOwn(families, model)) {
    throw new SettingsError(
      `lora-rank: a new ${model} has learned nothing that adapters could change; leave it out, or name a folder with --model`,
    );
  }
}

/** A prefix language model is a GPT-2 that is trained in another way. */
function withoutAlias(settings: PretrainSettings): PretrainSettings {
  return settings.model === "prefix" ? { ...settings, model: "gpt2", objective: "prefix" } : settings;
}
