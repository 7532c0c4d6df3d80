import { z } from "zod";
import type { LensSlice } from "../../generate/logit-lens.ts";
import { askModel } from "../asked-model.ts";
import { usually } from "../fields.ts";
import { requestLimits } from "../limits.ts";
import { inspect } from "../read-texts.ts";
import { definePost, json } from "../route.ts";
import { Lens } from "./look-answers.ts";
import { finite, idsOfText, lookFields, shownTokens } from "./looked-at-text.ts";

/** `POST /api/lens` */
export const lens = definePost({
  path: "/api/lens",
  summary: "what a model would say of each place of a text behind each of its layers",
  body: z.object({
    ...lookFields,
    alternatives: usually(z.int().min(1).max(10), 5).describe("likeliest tokens of each place"),
  }),
  answer: Lens,
  handle: (asked) =>
    askModel(asked, asked.body.model, "decoder", async (opened) => {
      const { prompt, alternatives } = asked.body;
      const ids = idsOfText(opened, prompt, requestLimits.lensTokens);
      const [slices = []] = await inspect<"lens">(asked, opened, ids.length, [{ about: "lens", ids, alternatives }]);
      const texts = opened.text.tokens;
      const named = new Set(slices.flatMap(({ tokens }) => tokens.flatMap(({ top }) => top.map(({ token }) => token))));
      return json({
        model: opened.model.name,
        tokens: shownTokens(ids, texts),
        layers: layersOf(slices, ids.length),
        texts: Object.fromEntries([...named].map((id) => [id, texts.textOf(id)])),
      } satisfies Lens);
    }),
});

function layersOf(slices: readonly LensSlice[], time: number): Lens["layers"] {
  const layers = Array.from({ length: slices[0]?.layers ?? 0 }, (): Lens["layers"][number] => ({ next: [], top: [] }));
  for (const { layer, tokens } of slices) {
    for (const { logprob, top } of tokens) {
      const own = layers[layer];
      own?.next.push(own.next.length < time - 1 && logprob !== null ? finite(logprob) : null);
      own?.top.push(top.map((guess) => ({ id: guess.token, logprob: finite(guess.logprob) })));
    }
  }
  return layers;
}
