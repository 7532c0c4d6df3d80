import type { Backend } from "../backend/kernels.ts";
import { CheckpointError } from "../core/errors.ts";
import { addAdapters } from "./added-adapters.ts";
import type { EncoderDecoder } from "./encoder-decoder.ts";
import type { EncoderDecoderFamily } from "./encoder-decoder-family.ts";
import { asEncoderDecoder, encoderDecoders } from "./encoder-decoders/index.ts";
import type { ModelConfig } from "./family.ts";
import type { OpeningChoice } from "./load.ts";
import { openModel } from "./load.ts";
import { refuseOtherHead } from "./other-heads.ts";
import { anyFamilyIn, readModelOf } from "./read-model.ts";

/** An encoder-decoder and the family that made it. */
export interface LoadedTextToText {
  readonly model: EncoderDecoder;
  readonly family: EncoderDecoderFamily;
}

/**
 * Opens a folder of an encoder-decoder of any family, anyone's or ours, or that of an adapter of one.
 *
 * @throws {CheckpointError} when it is missing, damaged, or of another shape of model, or an adapter of another model.
 */
export async function loadTextToText(
  path: string,
  backend: Backend,
  { adapters = [], weights = "float32" }: Pick<OpeningChoice, "adapters" | "weights"> = {},
): Promise<LoadedTextToText> {
  const folder = await openModel(path);
  try {
    const family = textToTextFamily(folder.config, path);
    // What may be missing is a constant that is 0 where it is.
    const missing = { random: null, report: () => undefined };
    const model = await readModelOf(family, folder, backend, { missing, weights });
    await addAdapters({ family, model, hasWhole: true }, folder.adapters ?? []);
    await addAdapters({ family, model }, adapters);
    return { model, family };
  } finally {
    await folder.close();
  }
}

/**
 * The family of encoder-decoders that a config.json names.
 *
 * @throws {CheckpointError} when it names another shape of model, or has a head for another task.
 */
export function textToTextFamily(config: ModelConfig, path: string): EncoderDecoderFamily {
  const named = anyFamilyIn(config, path);
  const family = asEncoderDecoder(named);
  if (!family) {
    const known = encoderDecoders.map(({ modelType }) => modelType).join(", ");
    throw new CheckpointError(
      `${path}: config.json has model_type "${named.modelType}", which is another shape of model (${named.summary}); ` +
        `this is for encoder-decoders, which are ${known}`,
    );
  }
  refuseOtherHead(config, path);
  return family;
}
