import { z } from "zod";
import type { CutWord } from "../../text/cut-word.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import { modelField } from "../fields.ts";
import { requestLimits } from "../limits.ts";
import { definePost, json } from "../route.ts";
import { CutText } from "./look-answers.ts";

/** Pieces of a word whose merges are told; their number grows with its square. */
const mostPieces = 128;

/** `POST /api/words` */
export const words = definePost({
  path: "/api/words",
  summary: "how a model's tokenizer cuts a text: words, tokens, bytes, merges",
  body: z.object({
    model: modelField,
    text: z.string().max(requestLimits.lookedAt),
  }),
  answer: CutText,
  async handle({ service, body: { model: name, text } }) {
    const model = service.models.get(name);
    const { tokenizer, tokens: texts } = await model.text();
    const cut = tokenizer.cutWords(text);
    const special = new Set(tokenizer.specialTokens.values());
    return json({
      ...{ model: model.name, tokenizer: tokenizer.kind, vocabulary_size: tokenizer.vocabularySize },
      ...{ characters: [...text].length, bytes: Buffer.byteLength(text) },
      tokens: cut.flatMap(({ ids }, word) =>
        ids.map((id) => ({
          ...{ id, text: texts.textOf(id), token: tokenizer.tokenOf(id) ?? "", bytes: texts.bytesOf(id), word },
          is_special: special.has(id),
        })),
      ),
      words: cut.map((word) => shownWord(word, tokenizer)),
    } satisfies CutText);
  },
});

function shownWord({ text, merging, scores }: CutWord, tokenizer: Tokenizer): CutText["words"][number] {
  const spelled = (id: number): string => tokenizer.tokenOf(id) ?? "";
  const isShort = merging !== null && merging.first.length <= mostPieces;
  return {
    text,
    merging: isShort
      ? {
          first: merging.first.map(spelled),
          steps: merging.steps.map(({ at, rank, id }) => ({ at, rank, token: spelled(id) })),
        }
      : null,
    scores: scores?.map((score) => (Number.isFinite(score) ? score : -9999)) ?? null,
  };
}
