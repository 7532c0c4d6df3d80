import type { Recipe } from "./recipe.ts";
import { analogies, capitals, kjv, nextVerse, spam } from "./text-tasks.ts";
import { wordnetChoice, wordnetEntailment, wordnetSimilarity, wordnetTopic } from "./wordnet-tasks.ts";

/** Every recipe. Adding one is a record and a line here. */
export const recipes: readonly Recipe[] = [
  wordnetTopic,
  wordnetEntailment,
  wordnetSimilarity,
  wordnetChoice,
  kjv,
  nextVerse,
  spam,
  analogies,
  capitals,
];
