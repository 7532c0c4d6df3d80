import type { EncoderDecoderFamily } from "../encoder-decoder-family.ts";
import type { AnyFamily } from "../family.ts";
import { bart, mbart, pegasus, transformer } from "./bart.ts";
import { mt5, t5 } from "./t5.ts";

/** Encoder-decoders that `--model` names. Adding one is a description. */
export const newEncoderDecoders = { t5, bart, transformer } satisfies Record<string, EncoderDecoderFamily>;

/** Every family of encoder-decoders; those that have no name above open from folders. */
export const encoderDecoders: readonly EncoderDecoderFamily[] = [t5, mt5, bart, mbart, transformer, pegasus];

/** A family as that of an encoder-decoder, or null where it is none. */
export function asEncoderDecoder({ modelType }: AnyFamily): EncoderDecoderFamily | null {
  return encoderDecoders.find((family) => family.modelType === modelType) ?? null;
}
