import { rolesToConfig } from "./token-roles.ts";
import type { Tokenizer, TokenizerJson } from "./tokenizer.ts";

/** Contents of files by name; those of JSON are text. */
export type TokenizerFiles = Readonly<Record<string, string | Uint8Array>> & {
  readonly [name in "tokenizer.json" | "tokenizer_config.json"]?: string;
};

/**
 * The files of a tokenizer in a model folder, by name: `tokenizer.json` and `tokenizer_config.json`, as Hugging Face
 * libraries write and read them; of Marian's, its own files and the latter. The same tokenizer gives the same bytes.
 */
export function tokenizerFiles(tokenizer: Tokenizer): TokenizerFiles {
  const json = tokenizer.toJson();
  const config = {
    clean_up_tokenization_spaces: false,
    ...rolesToConfig(tokenizer.roles),
    ...classConfig(tokenizer, json),
  };
  const own = tokenizer.files ?? { "tokenizer.json": format(json) };
  return { ...own, "tokenizer_config.json": format(config) };
}

/** Which of the library's classes it is, and the settings with which the class would make the same of the file. */
function classConfig(
  { kind }: Tokenizer,
  { normalizer, pre_tokenizer: preTokenizer, post_processor }: TokenizerJson,
): object {
  switch (kind) {
    case "openai-gpt":
      return { tokenizer_class: "OpenAIGPTTokenizer" };
    case "wordpiece": {
      const { lowercase, handle_chinese_chars, strip_accents } = { ...normalizer } as Record<string, unknown>;
      return {
        do_lower_case: lowercase,
        strip_accents,
        tokenize_chinese_chars: handle_chinese_chars,
        tokenizer_class: "BertTokenizer",
      };
    }
    case "sentencepiece-pair":
      return { tokenizer_class: "MarianTokenizer" };
    case "characters":
    case "sentencepiece-bpe":
    case "unigram":
      return { tokenizer_class: "PreTrainedTokenizerFast" };
    case "byte-level-bpe": {
      const { type, add_prefix_space } = { ...preTokenizer } as Record<string, unknown>;
      const isPlain =
        type === "ByteLevel" && !normalizer && ({ ...post_processor } as Record<string, unknown>).type === "ByteLevel";
      return isPlain
        ? { add_prefix_space, tokenizer_class: "GPT2Tokenizer" }
        : { tokenizer_class: "PreTrainedTokenizerFast" };
    }
  }
}

function format(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
