import { rolesToConfig } from "./token-roles.ts";
import type { Tokenizer, TokenizerJson } from "./tokenizer.ts";

/**
 * The files of a tokenizer in a model folder, by name: `tokenizer.json` and `tokenizer_config.json`, as Hugging Face
 * libraries write and read them. The same tokenizer gives the same bytes.
 */
export function tokenizerFiles(tokenizer: Tokenizer): Record<string, string> {
  const json = tokenizer.toJson();
  const config = {
    clean_up_tokenization_spaces: false,
    ...rolesToConfig(tokenizer.roles),
    ...classConfig(tokenizer, json),
  };
  return { "tokenizer.json": format(json), "tokenizer_config.json": format(config) };
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
