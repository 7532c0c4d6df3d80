import type { Backend } from "../backend/kernels.ts";
import { openModelFolder } from "../checkpoint/model-folder.ts";
import { CheckpointError } from "../core/errors.ts";
import type { EncoderDecoder } from "./encoder-decoder.ts";
import type { EncoderDecoderFamily } from "./encoder-decoder-family.ts";
import { asEncoderDecoder, encoderDecoders } from "./encoder-decoders/index.ts";
import type { ModelConfig } from "./family.ts";
import { refuseOtherHead } from "./other-heads.ts";
import { anyFamilyIn, readModelOf } from "./read-model.ts";

/** An encoder-decoder and the family that made it. */
export interface LoadedTextToText {
  readonly model: EncoderDecoder;
  readonly family: EncoderDecoderFamily;
}

/**
 * Opens a folder of an encoder-decoder of any family, anyone's or ours.
 *
 * @throws {CheckpointError} when it is missing, damaged, or of another shape of model.
 */
export async function loadTextToText(path: string, backend: Backend): Promise<LoadedTextToText> {
  const folder = await openModelFolder(path);
  try {
    const family = textToTextFamily(folder.config, path);
    // What may be missing is a constant that is 0 where it is.
    const model = await readModelOf(family, folder, backend, { random: null, report: () => undefined });
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
