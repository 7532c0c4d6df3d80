import { z } from "zod";
import type { AttentionMap } from "../../backend/watch-attention.ts";
import { wrongField } from "../api-error.ts";
import type { AskedModel } from "../asked-model.ts";
import { askModel } from "../asked-model.ts";
import { optional } from "../fields.ts";
import { requestLimits } from "../limits.ts";
import { ModelKind } from "../model-kind.ts";
import { inspect } from "../read-texts.ts";
import { definePost, json } from "../route.ts";
import { AttentionWeights } from "./look-answers.ts";
import { idsOfText, lookFields, shownTokens } from "./looked-at-text.ts";

const most = requestLimits.attentionWeights;

/** `POST /api/attention` */
export const attention = definePost({
  path: "/api/attention",
  summary: "how much each token of a text takes of each other, by layer and head",
  body: z.object({
    ...lookFields,
    layers: optional(z.array(z.int().min(0)).min(1).max(256)).describe("counted from 0; all where they are left out"),
  }),
  answer: AttentionWeights,
  handle: (asked) =>
    askModel(asked, asked.body.model, ModelKind.options, async (opened) => {
      const size = sizeOf(opened);
      const layers = chosenLayers(asked.body.layers, size.layers);
      const ids = idsOfText(opened, asked.body.prompt, requestLimits.lensTokens);
      const count = layers.length * size.heads * ids.length ** 2;
      if (count > most) {
        const [all, limit] = [`${ids.length} tokens in ${layers.length} layers of ${size.heads} heads`, most];
        throw wrongField(
          "layers",
          `layers: ${all} make ${count} weights, an answer has ${limit}; shorten the text, or ask for fewer layers`,
        );
      }
      const [maps = []] = await inspect<"attention">(asked, opened, ids.length, [{ about: "attention", ids, layers }]);
      return json({
        ...{ model: opened.model.name, tokens: shownTokens(ids, opened.text.tokens), ...size },
        maps: maps.map((map, i) => ({ layer: layers[i] ?? 0, weights: nested(map) })),
      } satisfies AttentionWeights);
    }),
});

function sizeOf({ model, opened }: AskedModel): { readonly layers: number; readonly heads: number } {
  if (opened.attention) return opened.attention;
  throw wrongField("model", `model ${model.name} has no attention: it reads from left to right`, "wrong_model");
}

/** In their order, each once. */
function chosenLayers(asked: readonly number[] | null, count: number): number[] {
  const all = Array.from({ length: count }, (_, layer) => layer);
  if (asked === null) return all;
  const beyond = asked.find((layer) => layer >= count);
  if (beyond !== undefined) {
    throw wrongField("layers", `layers: ${beyond} is none; the model has layers 0 to ${count - 1}`);
  }
  return all.filter((layer) => asked.includes(layer));
}

/** Five decimals tell more than one can see. */
function nested({ heads, queries, keys, weights }: AttentionMap): number[][][] {
  return Array.from({ length: heads }, (_h, head) =>
    Array.from({ length: queries }, (_q, query) => {
      const at = (head * queries + query) * keys;
      return Array.from(weights.subarray(at, at + keys), (weight) => Math.round(weight * 1e5) / 1e5);
    }),
  );
}
