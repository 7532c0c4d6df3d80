import type { ModelFamily } from "./family.ts";
import { gpt1, gpt2 } from "./gpt-families.ts";

/** Every family by the name that `--model` takes. Adding one is a file and a line here. */
export const families = { gpt1, gpt2 } satisfies Record<string, ModelFamily>;

/** Name of a model family. */
export type FamilyName = keyof typeof families;
