import { UnsupportedError } from "../core/errors.ts";

/** A step of cutting text, as `tokenizer.json` has it. */
interface Step {
  readonly type?: string;
  readonly pattern?: { readonly Regex?: string; readonly String?: string };
  readonly behavior?: string;
  readonly invert?: boolean;
  readonly individual_digits?: boolean;
  readonly use_regex?: boolean;
  readonly add_prefix_space?: boolean;
  readonly pretokenizers?: readonly Step[];
}

/** A way to cut text that ggml has names for. */
export interface GgufPreTokenizer {
  /** The first is the one that is written. */
  readonly names: readonly string[];
  readonly steps: readonly Step[];
  /** Whether a word that is a token is that token, whatever merges make of it. */
  readonly ignoresMerges: boolean;
  /** Whether llama.cpp puts the token that begins a text before it where a file does not say. */
  readonly beginsText: boolean;
}

const split = (regex: string): Step => ({
  ...{ type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false },
});
const digits = (each: boolean): Step => ({ type: "Digits", individual_digits: each });
const bytes = (useRegex: boolean): Step => ({
  ...{ type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: useRegex },
});

const contraction = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const gpt4 = (numbers: string): string =>
  `${contraction}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${numbers}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
const [upper, lower] = ["[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]", "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"];
const cased = (ending: string, numbers: string): string =>
  `[^\\r\\n\\p{L}\\p{N}]?${upper}*${lower}+${ending}|[^\\r\\n\\p{L}\\p{N}]?${upper}+${lower}*${ending}|${numbers}` +
  "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const gpt2Words = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

const plain = { ignoresMerges: false, beginsText: false };

const preTokenizers: readonly GgufPreTokenizer[] = [
  { ...plain, names: ["gpt-2", "phi-2", "olmo", "mpt", "jais", "roberta-bpe"], steps: [bytes(true)] },
  {
    ...plain,
    names: ["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"],
    steps: [digits(true), bytes(true)],
  },
  {
    names: ["llama-bpe", "llama3", "llama-v3", "falcon3"],
    steps: [split(gpt4("\\p{N}{1,3}")), bytes(false)],
    ...{ ignoresMerges: true, beginsText: true },
  },
  { ...plain, names: ["dbrx", "smaug-bpe"], steps: [split(gpt4("\\p{N}{1,3}")), bytes(false)] },
  {
    ...plain,
    names: ["qwen2", "stablelm2", "deepseek-r1-qwen"],
    steps: [split(gpt4("\\p{N}")), bytes(false)],
  },
  {
    ...plain,
    names: ["gpt-4o", "llama4"],
    steps: [split(cased(`${contraction}?`, "\\p{N}{1,3}")), bytes(false)],
  },
  {
    names: ["tekken"],
    steps: [split(cased("", "\\p{N}")), bytes(false)],
    ...{ ignoresMerges: true, beginsText: true },
  },
  {
    ...plain,
    names: ["bloom", "poro-chat", "gpt3-finnish"],
    steps: [split(" ?[^(\\s|[.,!?…。，、।۔،])]+"), bytes(false)],
  },
  {
    ...plain,
    names: ["falcon"],
    steps: [{ type: "Punctuation", behavior: "Contiguous" }, bytes(true), digits(false), split("[0-9][0-9][0-9]")],
  },
  {
    ...plain,
    names: ["default"],
    steps: [
      split("[\\p{P}\\$\\+<=>\\^~\\|]+"),
      split(gpt2Words),
      split("\\p{N}+"),
      split("[0-9][0-9][0-9]"),
      bytes(false),
    ],
  },
];

/** The names, for messages. */
export const preTokenizerNames = preTokenizers.flatMap(({ names }) => names).join(", ");

/**
 * ggml's name for the `pre_tokenizer` of a byte-level BPE. Where two differ only in whether they ignore merges, that
 * decides.
 *
 * @throws {UnsupportedError} when it has none.
 */
export function preTokenizerName(json: object | null, ignoresMerges: boolean): string {
  const wanted = described(json === null ? [] : [json]);
  const known = preTokenizers.filter(({ steps }) => described(steps) === wanted);
  const [name] = (known.find((one) => one.ignoresMerges === ignoresMerges) ?? known[0])?.names ?? [];
  if (name !== undefined) return name;
  throw new UnsupportedError(
    `gguf: llama.cpp has no name for this way to cut text: ${JSON.stringify(json)}; known are those of ${preTokenizerNames}`,
  );
}

/** What ggml means by a name, or null where the name is not known here. */
export function preTokenizerNamed(name: string): GgufPreTokenizer | null {
  return preTokenizers.find(({ names }) => names.includes(name)) ?? null;
}

/** The `pre_tokenizer` entry of `tokenizer.json`. */
export function preTokenizerJson({ steps }: GgufPreTokenizer): object {
  return steps.length === 1 ? { ...steps[0] } : { type: "Sequence", pretokenizers: steps };
}

/** Steps as text in which what says the same is the same. */
function described(steps: readonly Step[]): string {
  return JSON.stringify(
    steps.flatMap((step) => (step.type === "Sequence" ? (step.pretokenizers ?? []) : [step])).map(essence),
  );
}

function essence(step: Step): readonly unknown[] {
  const { type, pattern, behavior = "", invert = false } = step;
  if (type === "Split") {
    // Everything that matches kept and the rest dropped, or both apart: the same where the pattern leaves nothing out.
    const isWhole = /^(isolated|removed)$/i.test(behavior) && invert === (behavior.toLowerCase() === "removed");
    return [type, pattern?.Regex ?? pattern?.String, isWhole || [behavior, invert]];
  }
  if (type === "Digits") return [type, step.individual_digits ?? false];
  if (type === "ByteLevel") return [type, step.add_prefix_space ?? true, step.use_regex ?? true];
  return [type, behavior.toLowerCase()];
}
