import { bert } from "./bert-families.ts";
import { decoders } from "./decoders/index.ts";
import { newEncoderDecoders } from "./encoder-decoders/index.ts";
import type { AnyFamily, ModelFamily } from "./family.ts";
import { gpt1, gpt2 } from "./gpt-families.ts";
import { lstm } from "./lstm-family.ts";

/** Every family of decoders, models that continue a text, by the name that `--model` takes. Adding one is a file and a line here. */
export const families = { gpt1, gpt2, lstm, ...decoders } satisfies Record<string, ModelFamily>;

/** Families that are no decoders: what they learn and how they are used follows from their `architecture`. */
export const otherFamilies = { bert, ...newEncoderDecoders } satisfies Record<string, AnyFamily>;
