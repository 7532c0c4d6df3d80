import { bert } from "./bert-families.ts";
import type { ModelFamily } from "./family.ts";
import { gpt1, gpt2 } from "./gpt-families.ts";
import type { StoredModel } from "./language-model.ts";
import { llama } from "./llama-family.ts";
import { lstm } from "./lstm-family.ts";
import { mixtral } from "./mixtral-family.ts";
import { t5 } from "./t5-family.ts";

/** Every family of decoders, models that continue a text, by the name that `--model` takes. Adding one is a file and a line here. */
export const families = { gpt1, gpt2, llama, lstm, mixtral } satisfies Record<string, ModelFamily>;

/** Families of the other shapes, which are trained and used by code of their own. */
export const otherFamilies = { bert, t5 } satisfies Record<string, ModelFamily<unknown, StoredModel>>;
