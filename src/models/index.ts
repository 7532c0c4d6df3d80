import type { ModelFamily } from "./family.ts";
import { gpt1, gpt2 } from "./gpt-families.ts";
import { llama } from "./llama-family.ts";

/** Every family by the name that `--model` takes. Adding one is a file and a line here. */
export const families = { gpt1, gpt2, llama } satisfies Record<string, ModelFamily>;

/** Name of a model family. */
export type FamilyName = keyof typeof families;
