import { z } from "zod";
import { SettingsError } from "../core/errors.ts";
import { poolingModes } from "../models/sentence-modules.ts";

const group = "Embeddings";

/** What embeddings can learn by. */
export const embeddingLosses = ["in-batch", "triplet", "cosent", "cosine"] as const;

/** Settings of `finetune --task embedding` beside those that all tasks have. */
export const embeddingSettings = {
  loss: z
    .enum(embeddingLosses)
    .nullable()
    .default(null)
    .describe(
      "what embeddings learn by; default: in-batch for anchors with positives (and negatives), cosent for scored pairs",
    )
    .meta({ group }),
  scale: z
    .number()
    .positive()
    .nullable()
    .default(null)
    .describe("factor of cosines in the losses in-batch and cosent, the inverse of a temperature (default: 20)")
    .meta({ group }),
  margin: z
    .number()
    .positive()
    .nullable()
    .default(null)
    .describe(
      "by how much a negative is to be farther from the anchor than the positive, of the loss triplet (default: 1)",
    )
    .meta({ group }),
  anchorPrompt: z
    .string()
    .nullable()
    .default(null)
    .describe('text before anchors, or both texts of scored pairs, such as "query: "; default: what the model says')
    .meta({ placeholder: "text", group }),
  positivePrompt: z
    .string()
    .nullable()
    .default(null)
    .describe('text before positives and negatives, such as "passage: "; default: what the model says')
    .meta({ placeholder: "text", group }),
  pooling: z
    .enum(poolingModes)
    .nullable()
    .default(null)
    .describe("how states become an embedding; default: what the folder says, else mean, of decoders lasttoken")
    .meta({ group }),
} as const;

const Settings = z.object(embeddingSettings);
type Settings = z.output<typeof Settings>;

/**
 * Makes sure that no setting of embeddings is given to another task, which would pass it over.
 *
 * @throws {SettingsError} naming the first.
 */
export function refuseEmbeddingSettings(task: string, settings: Settings): void {
  const names = Object.keys(embeddingSettings) as (keyof Settings)[];
  const given = names.find((name) => settings[name] !== null);
  if (given === undefined) return;
  const flag = given.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  throw new SettingsError(`${flag}: is for --task embedding, and this is ${task}; leave it out`);
}
