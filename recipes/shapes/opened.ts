import type { Backend, LanguageModel, Tokenizer } from "../../src/index.ts";
import { loadModel, loadModelOf, loadTokenizer, otherFamilies } from "../../src/index.ts";
import type { Contestant } from "./contestants.ts";

const { bert, t5 } = otherFamilies;

/** A trained encoder. */
export type Encoder = ReturnType<typeof bert.create>;
/** A trained encoder-decoder. */
export type EncoderDecoder = ReturnType<typeof t5.create>;

/** A trained model, with its tokenizer and a place among the three kinds. */
export type Opened = { readonly tokenizer: Tokenizer } & (
  | { readonly kind: "decoder"; readonly model: LanguageModel }
  | { readonly kind: "encoder"; readonly model: Encoder }
  | { readonly kind: "encoder-decoder"; readonly model: EncoderDecoder }
);

/** Opens what a contestant has become. */
export async function open({ kind }: Contestant, folder: string, backend: Backend): Promise<Opened> {
  const tokenizer = await loadTokenizer(folder);
  switch (kind) {
    case "decoder":
      return { kind, tokenizer, model: (await loadModel(folder, backend)).model };
    case "encoder":
      return { kind, tokenizer, model: await loadModelOf(bert, folder, backend) };
    case "encoder-decoder":
      return { kind, tokenizer, model: await loadModelOf(t5, folder, backend) };
  }
}

/** The id of a special token that a tokenizer has to have. */
export function specialId(tokenizer: Tokenizer, token: string): number {
  const id = tokenizer.specialTokens.get(token);
  if (id === undefined) throw new Error(`the tokenizer has no ${token}`);
  return id;
}
