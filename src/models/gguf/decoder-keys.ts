import type { DecoderSettings } from "../decoder-settings.ts";
import { rotaryOf } from "../decoders/llama-keys.ts";
import type { ModelConfig } from "../family.ts";
import type { GgufKey } from "./keys.ts";
import { sameKey } from "./keys.ts";

type Key = GgufKey<DecoderSettings>;
type Of = (settings: DecoderSettings) => number | null;
type Otherwise = (config: ModelConfig) => number | null;

/** A key that counts something. */
export function counts(gguf: string, of: Of, config: string | null, otherwise?: Otherwise): Key {
  return sameKey("uint32", gguf, of, config, otherwise);
}

/** A key that measures something. */
export function real(gguf: string, of: Of, config: string | null, otherwise?: Otherwise): Key {
  return sameKey("float32", gguf, of, config, otherwise);
}

/** What config.json calls sizes that every decoder has; null for one that follows from others. */
export interface SizeNames {
  readonly context: string;
  readonly width: string;
  readonly layers: string;
  readonly hidden: string | null;
  readonly heads: string;
}

/** Keys of sizes that every decoder has. */
export function sizes(names: SizeNames): Key[] {
  return [
    counts("context_length", (model) => model.context, names.context),
    counts("embedding_length", (model) => model.width, names.width),
    counts("block_count", (model) => model.layers, names.layers),
    counts("feed_forward_length", (model) => model.hidden, names.hidden),
    counts("attention.head_count", (model) => model.heads, names.heads),
  ];
}

/** Keys of the width of a head, where config.json has it as `head_dim`. */
export const headWidth: readonly Key[] = ["attention.key_length", "attention.value_length"].map((gguf) =>
  counts(gguf, (model) => model.headDim, "head_dim", widthOfHead),
);

/** How many dimensions of a head turn, which are all, where config.json has them as `head_dim`. */
export const turnedWhole: Key = counts("rope.dimension_count", turnedOf, "head_dim", (config) =>
  Number(config.head_dim),
);

/** How many dimensions of a head turn, of which config.json has the share; left out where that is `usual`. */
export function turnedShare(config: string, usual: number | null = null): Key {
  return {
    ...{ gguf: "rope.dimension_count", type: "uint32", of: turnedOf, otherwise: widthOfHead },
    toConfig: (turned, keys) => {
      const share = shareOf(Number(turned), widthOfHead(keys));
      return share === usual ? {} : { [config]: share };
    },
  };
}

/** The base of the angles. */
export function rotaryBase(config: string): Key {
  return real(
    "rope.freq_base",
    (model) => baseOf(model.attention.filter(({ window }) => window === null)) ?? baseOf(model.attention),
    config,
    () => 10_000,
  );
}

/** The base of the angles in layers that see a window, where it is another one. */
export function baseOfWindows(config: string): Key {
  return real(
    "rope.freq_base_swa",
    (model) => baseOf(model.attention.filter(({ window }) => window !== null)),
    config,
    () => 10_000,
  );
}

/** What keeps a norm from dividing by 0. */
export function epsilon(kind: "rms" | "layer", config: string | null): Key {
  const gguf = kind === "rms" ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon";
  return real(gguf, (model) => model.norm.epsilon, config);
}

/** How many experts there are, and how many of them each token goes to. */
export function expertCounts(config: string): Key[] {
  return [
    counts("expert_count", (model) => model.experts, config),
    counts("expert_used_count", (model) => model.chosenExperts, "num_experts_per_tok"),
  ];
}

/** How many keys a query sees; 0 for all. */
export const window: Key = {
  ...{ gguf: "attention.sliding_window", type: "uint32", otherwise: () => null },
  of: windowOf,
  toConfig: (value) => ({ sliding_window: value === 0 ? null : value }),
};

/** {@link window} of an architecture that always has one: the whole context where no layer sees less. */
export const alwaysWindow: Key = { ...window, of: (model) => windowOf(model) ?? model.context };

/** One layer in so many sees all, the last of each group; the others see a window. */
export function period(usual: number): Key {
  return {
    ...{ gguf: "attention.sliding_window_pattern", type: "uint32", otherwise: () => usual },
    of: ({ attention }) =>
      [usual, ...attention.map((_, i) => i + 1), attention.length + 1].find((every) =>
        attention.every((layer, i) => (layer.window === null) === isLast(i, every)),
      ) ?? null,
    toConfig: (every, { num_hidden_layers: layers }) => ({
      layer_types: Array.from({ length: Number(layers) }, (_, i) =>
        isLast(i, Number(every)) ? "full_attention" : "sliding_attention",
      ),
    }),
  };
}

function windowOf({ attention }: DecoderSettings): number | null {
  return attention.find((layer) => layer.window !== null)?.window ?? null;
}

function isLast(layer: number, every: number): boolean {
  return (layer + 1) % every === 0;
}

function turnedOf(model: DecoderSettings): number | null {
  return rotaryOf(model)?.turned ?? null;
}

function baseOf(attention: DecoderSettings["attention"]): number | null {
  return rotaryOf({ attention })?.base ?? null;
}

/** A share of which a head's width, rounded down, is so many dimensions. */
function shareOf(turned: number, headDim: number): number {
  const share = turned / headDim;
  return Math.trunc(headDim * share) === turned ? share : share * (1 + Number.EPSILON);
}

function widthOfHead({ hidden_size: width, num_attention_heads: heads, n_head: count }: ModelConfig): number {
  return Number(width) / Number(heads ?? count);
}
