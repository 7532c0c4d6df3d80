import type { JsonObject } from "../files/json.ts";
import type { SpecialIds } from "./family.ts";

/**
 * A `generation_config.json`: what ends a text, and what begins one. A key without a value is left out: `transformers`
 * takes an empty list of ends for a list of one that is not there.
 */
export function generationConfig(ends: Iterable<number>, { beginOfText, endOfText }: SpecialIds): JsonObject {
  const list = [...ends];
  const begin = beginOfText ?? endOfText;
  return {
    ...(begin !== null && { bos_token_id: begin }),
    ...(list.length > 0 && { eos_token_id: list }),
  };
}
