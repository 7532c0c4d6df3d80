import { UnsupportedError } from "../core/errors.ts";

/** ggml's names for ways to cut text, and the pattern of each; null for GPT-2's, which is built in. */
const preTokenizers: readonly (readonly [name: string, pattern: string | null])[] = [
  ["gpt-2", null],
  [
    "llama-bpe",
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  ],
  [
    "qwen2",
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  ],
];

/** The names, for messages. */
export const preTokenizerNames = preTokenizers.map(([name]) => name).join(", ");

/** Cutting by a pattern, and then only spelling bytes. */
interface Steps {
  readonly type?: string;
  readonly use_regex?: boolean;
  readonly add_prefix_space?: boolean;
  readonly pretokenizers?: readonly { readonly type: string; readonly pattern?: { readonly Regex?: string } }[];
}

/**
 * ggml's name for the `pre_tokenizer` of a byte-level BPE.
 *
 * @throws {UnsupportedError} when it has none.
 */
export function preTokenizerName(json: object | null): string {
  const { type, use_regex: useRegex = true, add_prefix_space: addsSpace, pretokenizers = [] } = { ...json } as Steps;
  if (type === "ByteLevel" && useRegex && addsSpace === false) return "gpt-2";
  const [split, bytes] = pretokenizers;
  const pattern = split?.type === "Split" && bytes?.type === "ByteLevel" ? split.pattern?.Regex : undefined;
  const known = preTokenizers.find(([, source]) => source === pattern && source !== null);
  if (known && pretokenizers.length === 2) return known[0];
  throw new UnsupportedError(
    `gguf: llama.cpp has no name for this way to cut text: ${JSON.stringify(json)}; known are those of ${preTokenizerNames}`,
  );
}

/** The `pre_tokenizer` that ggml has a name for, or null where the name is not known here. */
export function preTokenizerJson(name: string): object | null {
  const known = preTokenizers.find(([other]) => other === name);
  if (known === undefined) return null;
  const [, pattern] = known;
  if (pattern === null) return { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    type: "Sequence",
    pretokenizers: [
      { type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false },
      { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
    ],
  };
}
