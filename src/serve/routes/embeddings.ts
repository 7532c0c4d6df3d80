import { z } from "zod";
import { embeddingInput } from "../../generate/embed.ts";
import { bounded } from "../../text/text-bounds.ts";
import { Embeddings, Scores } from "../answers.ts";
import { unsupportedField, wrongField } from "../api-error.ts";
import type { AskedModel } from "../asked-model.ts";
import { askModel, refuseOtherIds, tooLong } from "../asked-model.ts";
import type { TextInput } from "../engine-messages.ts";
import { modelField, optional, rewardModelField, usually } from "../fields.ts";
import { eachText, givenTexts } from "../given-texts.ts";
import { requestLimits } from "../limits.ts";
import { newId } from "../new-id.ts";
import { readTexts } from "../read-texts.ts";
import type { Asked } from "../route.ts";
import { definePost, json } from "../route.ts";

const most = requestLimits.texts;

const EmbeddingRequest = z.object({
  model: modelField,
  input: givenTexts(most).describe("what is to be embedded"),
  encoding_format: usually(z.enum(["float", "base64"]), "float").describe("numbers, or base64 of their float32 bytes"),
  dimensions: optional(z.int().min(1)).describe("has to be the model's own"),
});
type EmbeddingRequest = z.output<typeof EmbeddingRequest>;

/** `POST /v1/embeddings` */
export const embeddings = definePost({
  path: "/v1/embeddings",
  summary: "texts as vectors",
  body: EmbeddingRequest,
  answer: Embeddings,
  handle: (asked: Asked<EmbeddingRequest>) =>
    askModel(asked, asked.body.model, "embedder", async (opened) => {
      const { body } = asked;
      const inputs = inputsOf(body, opened);
      const vectors = await readTexts(asked, opened, inputs);
      const width = vectors[0]?.length ?? 0;
      if (body.dimensions !== null && body.dimensions !== width) {
        throw unsupportedField(
          "dimensions",
          `this model's vectors have ${width}, got ${body.dimensions}; leave it out`,
        );
      }
      const tokens = inputs.reduce((sum, { ids }) => sum + ids.length, 0);
      return json({
        object: "list",
        data: vectors.map((vector, index) => ({
          object: "embedding",
          index,
          embedding: body.encoding_format === "base64" ? base64(vector) : [...vector],
        })),
        model: opened.model.name,
        usage: { prompt_tokens: tokens, total_tokens: tokens },
      });
    }),
});

function inputsOf({ input }: EmbeddingRequest, { opened, text }: AskedModel): TextInput[] {
  const { modules, context } = opened;
  if (modules === null) throw new Error("internal: an embedding model without its modules");
  const embedder = { model: { modules }, tokenizer: text.tokenizer, maxLength: context };
  const prompt = modules.defaultPrompt === null ? "" : (modules.prompts[modules.defaultPrompt] ?? "");
  return eachText(input, "input").map(({ text: given, param }) => {
    const found =
      typeof given === "string" ? embeddingInput(embedder, given, prompt) : ofIds(given, opened.vocabularySize, param);
    if (found.ids.length === 0) throw wrongField(param, `${param}: has no tokens, and so no embedding; leave it out`);
    if (found.ids.length > context) throw tooLong(param, found.ids.length, context);
    return { ids: found.ids, skipped: found.skipped };
  });
}

function ofIds(ids: readonly number[], vocabularySize: number, param: string): TextInput {
  refuseOtherIds(ids, vocabularySize, param);
  return { ids: Int32Array.from(ids), skipped: 0 };
}

function base64(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("base64");
}

const ScoreRequest = z.object({
  model: rewardModelField,
  messages: z
    .array(z.string({ error: "must be a text: a whole conversation, as /apply-template writes it" }), {
      error: `must be a list of 1 to ${most} texts`,
    })
    .min(1)
    .max(most)
    .describe("texts, each a whole conversation"),
  max_length: optional(z.int().min(1)).describe("tokens of a text that are read, at most"),
});
type ScoreRequest = z.output<typeof ScoreRequest>;

/** `POST /v1/score/evaluation`: rewards, as LLaMA-Factory's server gives them. */
export const scoreEvaluation = definePost({
  path: "/v1/score/evaluation",
  summary: "rewards of texts",
  body: ScoreRequest,
  answer: Scores,
  handle: (asked: Asked<ScoreRequest>) =>
    askModel(asked, asked.body.model, "reward", async (opened) => {
      const { tokenizer } = opened.text;
      const longest = Math.min(asked.body.max_length ?? opened.opened.context, opened.opened.context);
      const inputs = asked.body.messages.map((message, i) => {
        const ids = bounded(tokenizer, tokenizer.encode(message)).subarray(0, longest);
        if (ids.length === 0) throw wrongField(`messages[${i}]`, `messages[${i}]: has no tokens; give a text`);
        return { ids, skipped: 0 };
      });
      const vectors = await readTexts(asked, opened, inputs);
      const scores = vectors.map(([score = Number.NaN]) => score);
      return json({ id: newId("scoreval"), object: "score.evaluation", model: opened.model.name, scores });
    }),
});
