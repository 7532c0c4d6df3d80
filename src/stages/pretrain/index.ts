import type { Backend } from "../../backend/kernels.ts";
import { openMachine } from "../../backend/machine-settings.ts";
import { SettingsError } from "../../core/errors.ts";
import type { AnyFamily, Architecture } from "../../models/family.ts";
import { families, otherFamilies } from "../../models/index.ts";
import { refuseNewAdapted } from "../adapter-run.ts";
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
  beginning: ["model", "adapter", "objective", "tokenizer", "layers", "heads", "width", "dropout"],
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
    refuseNewAdapted(settings, Object.hasOwn(families, settings.model) || Object.hasOwn(otherFamilies, settings.model));
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

/** A prefix language model is a GPT-2 that is trained in another way. */
function withoutAlias(settings: PretrainSettings): PretrainSettings {
  return settings.model === "prefix" ? { ...settings, model: "gpt2", objective: "prefix" } : settings;
}
