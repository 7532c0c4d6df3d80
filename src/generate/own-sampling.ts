import { z } from "zod";
import { parseContents } from "../core/parse-contents.ts";
import { isGgufPath } from "../files/gguf-path.ts";
import type { JsonObject } from "../files/json.ts";
import { folderTexts } from "../files/json-file.ts";
import { readJsonOf } from "../files/text-files.ts";
import { SamplingSettings } from "./sampling.ts";

const file = "generation_config.json";
const { shape } = SamplingSettings;

/** {@link SamplingSettings} to spread into a command's schema: what the user leaves out is the model's own. */
export const askedSamplingSettings = {
  temperature: asked(shape.temperature),
  topK: asked(shape.topK),
  topP: asked(shape.topP),
  minP: asked(shape.minP),
  repetitionPenalty: asked(shape.repetitionPenalty),
} as const;

function asked(field: z.ZodDefault<z.ZodNumber>): z.ZodOptional<z.ZodNumber> {
  const usual = `(default: the model's own, else ${field.parse(undefined)})`;
  return field.removeDefault().optional().describe(`${field.description} ${usual}`);
}

/** How long and how variedly a model writes, as far as the user says so. */
export interface AskedWriting extends Partial<Record<keyof SamplingSettings, number | undefined>> {
  readonly maxNewTokens?: number | undefined;
}

/** How a model writes. */
export interface Writing {
  readonly sampling: SamplingSettings;
  /** Longest text in tokens; null where neither the user nor the model says. */
  readonly maxNewTokens: number | null;
  /** What comes from the model's folder, as a line; null for nothing. */
  readonly note: string | null;
}

/** What the makers of a model recommend, as `transformers` reads it. */
const Recommended = z.object({
  do_sample: z.boolean().nullish(),
  temperature: shape.temperature.removeDefault().nullish(),
  top_k: shape.topK.removeDefault().nullish(),
  top_p: shape.topP.removeDefault().nullish(),
  min_p: shape.minP.removeDefault().nullish(),
  repetition_penalty: shape.repetitionPenalty.removeDefault().nullish(),
  max_new_tokens: z.int().positive().nullish(),
});
type Recommended = z.output<typeof Recommended>;

/** Where `transformers` samples and a folder names no `top_k`. */
const usualTopK = 50;

/**
 * How a model writes: as the user asks, else as its `generation_config.json` recommends, else plainly. `do_sample: true`
 * without a `top_k` is one of 50, and `do_sample: false` takes the likeliest tokens, as in `transformers`; a flag about
 * sampling samples all the same. A GGUF file, and a folder that recommends nothing, leave sampling as it is.
 *
 * @param model - A model folder, or a GGUF file.
 * @throws {CheckpointError} naming file and key, when it recommends what cannot be.
 */
export async function writingOf(model: string, given: AskedWriting): Promise<Writing> {
  const own = isGgufPath(model) ? {} : await readRecommended(model);
  const asks = (["temperature", "topK", "topP", "minP"] as const).some((key) => given[key] !== undefined);
  const topK = own.top_k ?? (own.do_sample ? usualTopK : null);
  const recommended =
    own.do_sample === false && !asks
      ? { temperature: 0, repetitionPenalty: own.repetition_penalty }
      : {
          ...{ temperature: own.temperature, topK, topP: own.top_p, minP: own.min_p },
          repetitionPenalty: own.repetition_penalty,
        };
  const usual = SamplingSettings.parse({});
  const keys = Object.keys(usual) as (keyof SamplingSettings)[];
  const sampling = { ...usual };
  const taken: string[] = [];
  for (const key of keys) {
    const value: number | null | undefined = (recommended as AskedWriting)[key];
    sampling[key] = given[key] ?? value ?? usual[key];
    if (given[key] === undefined && sampling[key] !== usual[key]) taken.push(`${flagOf(key)} ${sampling[key]}`);
  }
  const { maxNewTokens = own.max_new_tokens ?? null } = given;
  if (given.maxNewTokens === undefined && maxNewTokens !== null) taken.push(`max-new-tokens ${maxNewTokens}`);
  const note = taken.length === 0 ? null : `${taken.join(", ")}: as the model's ${file} says, flags say otherwise`;
  return { sampling, maxNewTokens, note };
}

async function readRecommended(folder: string): Promise<Recommended> {
  const files = folderTexts(folder);
  const config: JsonObject = (await readJsonOf(files, file)) ?? {};
  return parseContents(files.where(file), Recommended, config, "correct the file, or remove the key");
}

function flagOf(key: string): string {
  return key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
