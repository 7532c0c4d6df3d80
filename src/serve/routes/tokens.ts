import { z } from "zod";
import type { TokenRole } from "../../text/tokenizer.ts";
import { wrongField } from "../api-error.ts";
import { refuseOtherIds } from "../asked-model.ts";
import { Messages, readMessages, written } from "../chat-messages.ts";
import { modelField, optional, usually } from "../fields.ts";
import { defineGet, definePost, json } from "../route.ts";

/** `GET /tokenizer_info` */
export const tokenizerInfo = defineGet({
  path: "/tokenizer_info",
  summary: "special tokens and chat template of a model (?model=name)",
  answer: z.looseObject({ tokenizer_class: z.string(), eos_token: z.string().nullable() }),
  async handle({ service, query }) {
    const text = await service.models.get(query("model")).text();
    const { tokenizer } = text;
    const role = (name: TokenRole): string | null => tokenizer.roles[name] ?? null;
    const end = tokenizer.endOfText === null ? null : tokenizer.tokenOf(tokenizer.endOfText);
    return json({
      tokenizer_class: tokenizer.kind,
      bos_token: role("bos"),
      eos_token: end ?? role("eos"),
      unk_token: role("unk"),
      pad_token: role("pad"),
      chat_template: text.template,
      vocab_size: tokenizer.vocabularySize,
    });
  },
});

const TokenizeRequest = z.object({
  model: modelField,
  prompt: optional(z.string()).describe("the text; or else messages"),
  messages: optional(Messages),
  add_special_tokens: usually(z.boolean(), true).describe("whether the text begins as the tokenizer begins texts"),
});

/** `POST /tokenize` */
export const tokenize = definePost({
  path: "/tokenize",
  summary: "token ids of a text, or of a conversation",
  body: TokenizeRequest,
  answer: z.object({ tokens: z.array(z.int()), count: z.int(), max_model_len: z.int().nullable() }),
  async handle({ service, body: { model: name, prompt, messages, add_special_tokens: isWhole } }) {
    const model = service.models.get(name);
    const text = await model.text();
    const ids = async (): Promise<Int32Array> => {
      if (messages !== null) return (await written(text.chat(readMessages(messages)))).ids;
      if (prompt === null) throw wrongField("prompt", "prompt is missing; give it, or messages");
      return isWhole ? text.completion(prompt).ids : text.tokenizer.encode(prompt);
    };
    const tokens = [...(await ids())];
    return json({ tokens, count: tokens.length, max_model_len: model.opened?.context ?? null });
  },
});

/** `POST /detokenize` */
export const detokenize = definePost({
  path: "/detokenize",
  summary: "the text of token ids",
  body: z.object({ model: modelField, tokens: z.array(z.int().min(0)) }),
  answer: z.object({ prompt: z.string() }),
  async handle({ service, body: { model, tokens } }) {
    const { tokenizer } = await service.models.get(model).text();
    refuseOtherIds(tokens, tokenizer.vocabularySize, "tokens");
    return json({ prompt: tokenizer.decode(tokens) });
  },
});

/** `POST /apply-template` */
export const applyTemplate = definePost({
  path: "/apply-template",
  summary: "a conversation as the text that a model reads",
  body: z.object({ model: modelField, messages: Messages }),
  answer: z.object({ prompt: z.string() }),
  async handle({ service, body: { model, messages } }) {
    const text = await service.models.get(model).text();
    return json({ prompt: await written(text.chatText(readMessages(messages))) });
  },
});
