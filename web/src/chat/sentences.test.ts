import { expect, test } from "vitest";
import { SentenceReader } from "./sentences.ts";

test("sentences are told when they are over, the rest at the end, and never more than one can hear", () => {
  const said: string[] = [];
  const reader = new SentenceReader((sentence) => said.push(sentence));
  for (const piece of ["In the be", "ginning. And", " God said: Let", " there be light! ", "So\nit was"])
    reader.push(piece);
  expect(said).toEqual(["In the beginning.", "And God said: Let there be light!", "So"]);
  reader.end();
  expect(said.at(-1)).toBe("it was");
  reader.push("a".repeat(1_000_000));
  reader.end();
  expect(said.at(-1)?.length).toBe(600);
});
