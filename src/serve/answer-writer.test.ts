import { expect, test } from "vitest";
import { tokenizer } from "../../test/small-model.ts";
import { Random } from "../core/random.ts";
import type { AnswerPiece } from "./answer-writer.ts";
import { AnswerWriter, lengthOf } from "./answer-writer.ts";

const end = tokenizer.endOfText ?? 0;
const scored = (token: number) => ({ token, logprob: -1, top: [] });

/** All pieces of an answer; the last token is its end. */
function pieces(ids: readonly number[], stops: readonly string[], finish: "stop" | "length"): AnswerPiece[] {
  const writer = new AnswerWriter(tokenizer.streamDecoder({ skipSpecialTokens: true }), stops, [end]);
  const out: AnswerPiece[] = [];
  for (const [i, id] of ids.entries()) {
    out.push(writer.push(scored(id), i === ids.length - 1 ? finish : null));
    if (out.at(-1)?.finish) break;
  }
  return out;
}

const textOf = (all: readonly AnswerPiece[]): string => all.map(({ text }) => text).join("");
const tokensOf = (all: readonly AnswerPiece[]) => all.flatMap(({ tokens }) => tokens);

test("no piece ends inside a character", () => {
  const ids = [...tokenizer.encode("a€b")]; // three bytes, three tokens
  const all = pieces(ids, [], "length");
  expect(ids).toHaveLength(5);
  expect(all.map(({ text }) => text)).toEqual(["a", "", "", "€", "b"]);
  expect(tokensOf(all).map(({ offset }) => offset)).toEqual([0, 1, 1, 1, 2]);
});

test("a character that never becomes whole is shown at the end", () => {
  const ids = [...tokenizer.encode("a€")].slice(0, -1);
  expect(textOf(pieces(ids, [], "length"))).toBe("a\ufffd");
});

test("what may begin a stop is held back, and shown when it is none", () => {
  const all = pieces([...tokenizer.encode("xAByABC!")], ["ABC"], "length");
  expect(all.map(({ text }) => text)).toEqual(["x", "", "", "ABy", "", "", ""]);
  expect(all.at(-1)?.finish).toBe("stop");
  expect(tokensOf(all).map(({ offset }) => offset)).toEqual([0, 1, 2, 3]);
});

test("an end token is no text but a token; what was held back comes with it", () => {
  const all = pieces([...tokenizer.encode("xAB"), end], ["ABC"], "stop");
  expect(all.map(({ text }) => text)).toEqual(["x", "", "", "AB"]);
  expect(tokensOf(all).map(({ isEnd, offset }) => [isEnd, offset])).toEqual([
    [false, 0],
    [false, 1],
    [false, 2],
    [true, 3],
  ]);
});

test("pieces of any text are the text up to the first stop, and so are its tokens", () => {
  const random = new Random(7).reader();
  const letters = ["a", "b", "€", "🙂", " the", "A", "B"];
  for (let trial = 0; trial < 60; trial++) {
    const text = Array.from({ length: 12 }, () => letters[Math.floor(random.uniform() * letters.length)]).join("");
    const stops = ["AB", "🙂b", " the a"].slice(0, Math.floor(random.uniform() * 4));
    const places = stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
    const expected = places.length > 0 ? text.slice(0, Math.min(...places)) : text;
    const all = pieces([...tokenizer.encode(text)], stops, "length");
    expect(textOf(all)).toBe(expected);
    // Every piece is whole characters, and tokens lie where they begin.
    for (const piece of all) expect(piece.text).not.toMatch(/\p{Surrogate}/u);
    const offsets = tokensOf(all).map(({ offset }) => offset);
    expect(offsets).toEqual(offsets.toSorted((a, b) => a - b));
    expect(offsets.every((offset) => offset <= lengthOf(expected))).toBe(true);
    if (places.length === 0) expect(offsets).toHaveLength(tokenizer.encode(text).length);
  }
});
