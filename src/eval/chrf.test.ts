import { expect, test } from "vitest";
import { chrF } from "./chrf.ts";

test.each([
  // Scores of sacreBLEU 2 (corpus_chrf).
  [["the cat sat on a mat"], ["the cat sat on the mat"], 65.97965990995549],
  [["ein Hund", "zwei kleine Katzen lagen da"], ["ein Hund lief", "zwei Katzen liegen dort"], 46.42183369820352],
  [["ab", "été 🙂 là"], ["abc", "été 🙂🙂"], 47.627737226277375],
  [["the cat sat on the mat"], ["the cat sat on the mat"], 100],
  [["abc"], ["xyz"], 0],
  [[""], ["the cat"], 0],
])("of %j against %j is %s", (texts, references, score) => {
  expect(chrF(texts, references)).toBeCloseTo(score, 10);
});
