import { countryCapitals } from "./country-capitals.ts";
import { emoji } from "./emoji.ts";
import type { PictureRecipe } from "./picture-recipe.ts";
import { pronunciation } from "./pronunciation.ts";
import type { Recipe } from "./recipe.ts";
import { analogies, capitals, kjv, spam } from "./text-tasks.ts";
import { nextVerse, verseGenre, verseHalves, versePairs } from "./verse-tasks.ts";
import { wordnetChoice, wordnetEntailment, wordnetSimilarity, wordnetTopic } from "./wordnet-tasks.ts";

/** Every recipe. Adding one is a record and a line here. */
export const recipes: readonly Recipe[] = [
  wordnetTopic,
  wordnetEntailment,
  wordnetSimilarity,
  wordnetChoice,
  kjv,
  verseGenre,
  nextVerse,
  verseHalves,
  versePairs,
  spam,
  analogies,
  capitals,
  countryCapitals,
  pronunciation,
];

/** Recipes of pictures with texts. */
export const pictureRecipes: readonly PictureRecipe[] = [emoji];
