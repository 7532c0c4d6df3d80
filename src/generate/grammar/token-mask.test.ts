import { expect, test } from "vitest";
import { Random } from "../../core/random.ts";
import { grammarNetwork } from "./grammar-network.ts";
import { NetworkReader } from "./network-state.ts";
import { TokenMasks } from "./token-mask.ts";
import { TokenTrie } from "./token-trie.ts";

const draws = new Random(1).reader();
const letters = ['"', "\\", "{", "}", ":", ",", "1", "a", "b", " "].map((letter) => letter.charCodeAt(0));
const tokens = Array.from({ length: 4000 }, () =>
  Uint8Array.from(
    { length: 1 + Math.floor(6 * draws.uniform()) },
    () => letters[Math.floor(10 * draws.uniform())] ?? 0,
  ),
);

test("a mask that is found bit by bit, in between others, is the one that is found at once", () => {
  const network = grammarNetwork({
    kind: "json",
    schema: { type: "object", additionalProperties: { type: "string" } },
  });
  const masksOf = (): { reader: NetworkReader; masks: TokenMasks } => {
    const reader = new NetworkReader(network);
    return { reader, masks: new TokenMasks(reader, new TokenTrie(tokens), tokens.length) };
  };
  const [whole, parts] = [masksOf(), masksOf()];
  const after = ({ reader }: { reader: NetworkReader }, text: string): ReturnType<NetworkReader["start"]> =>
    [...text].reduce((state, letter) => {
      const next = reader.step(state, letter.charCodeAt(0));
      if (!next) throw new Error(`${text} does not fit`);
      return next;
    }, reader.start());
  const texts = ["", "{", '{"', '{"a": "b', '{"a": "b",'];
  const waiting = new Map(texts.map((text) => [text, after(parts, text)]));
  let rounds = 0;
  while (waiting.size > 0) {
    rounds += 1;
    for (const [text, state] of waiting) {
      const mask = parts.masks.find(state, 0);
      if (!mask) continue;
      waiting.delete(text);
      expect(mask).toEqual(whole.masks.of(after(whole, text)));
      expect(mask.some((word) => word !== 0)).toBe(true);
    }
  }
  expect(rounds).toBeGreaterThan(3);
});
