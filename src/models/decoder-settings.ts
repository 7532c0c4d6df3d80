import type { Activation } from "../backend/functions.ts";
import type { NormRule } from "../nn/norm.ts";
import type { RotaryRule } from "../nn/rotary-table.ts";
import type { ModelConfig } from "./family.ts";

/** How one layer attends. */
export interface LayerAttention {
  /** A query sees this many keys, its own the last; null is all before it. */
  readonly window: number | null;
  /** How queries and keys turn by position; null where they do not. */
  readonly rotary: RotaryRule | null;
}

/** What tells a decoder where a token stands, beside what its layers turn. */
export type PositionRule =
  | { readonly kind: "none" }
  /** A table with a row for each position, the first of them `offset` rows down. */
  | { readonly kind: "learned"; readonly offset: number }
  /** Scores fall with distance, by a slope for each head; `scale` multiplies all slopes. */
  | { readonly kind: "alibi"; readonly scale: number };

/** Feed-forward layers side by side, of which each token goes through a few. */
export interface ExpertRule {
  /** Whether the shares of the chosen ones add up to 1. */
  readonly normalizesShares: boolean;
  /** Width of each. */
  readonly hidden: number;
  /** Layers that have them; the others have one feed-forward layer. */
  readonly layers: readonly boolean[];
  /** Weight of the loss that keeps experts equally busy. */
  readonly balanceWeight: number;
  /** Weight of the loss that keeps the router's logits small. */
  readonly routerZWeight: number;
}

/**
 * Everything in which decoders differ. A family maps the keys of its config.json to these, and the model reads nothing
 * else: no code asks which family it has.
 */
export interface DecoderSettings {
  readonly vocabularySize: number;
  /** Longest sequence. */
  readonly context: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  /** Heads of keys and values; a divisor of `heads`. */
  readonly keyValueHeads: number;
  /** Width of one head. */
  readonly headDim: number;
  /** Width of the feed-forward layer. */
  readonly hidden: number;
  readonly activation: Activation;
  /** Whether the feed-forward layer multiplies an activated gate with a value. */
  readonly gated: boolean;
  readonly norm: NormRule;
  /** Norms at each sub-layer's input, and at the end of the model. */
  readonly normsBefore: boolean;
  /** Whether the first layer's attention reads the embedding as it is, which is normed already. */
  readonly skipsFirstNorm?: boolean;
  /** Norms at each sub-layer's output: of what it adds to the residual sum, or of the sum (the original Transformer). */
  readonly normsAfter: "branch" | "sum" | null;
  /** Whether both sub-layers read the same input. */
  readonly parallel: boolean;
  /** Whether both sub-layers have one norm in common; only where they are parallel. */
  readonly sharedNorm: boolean;
  /** Whether the embedding is normed. */
  readonly embeddingNorm: boolean;
  readonly queryKeyNorm: { readonly over: "head" | "whole"; readonly rule: NormRule } | null;
  readonly bias: {
    readonly qkv: boolean;
    readonly projection: boolean;
    readonly mlp: boolean;
    readonly head: boolean;
  };
  readonly positions: PositionRule;
  /** One for each layer. */
  readonly attention: readonly LayerAttention[];
  /** Multiplies the scores of attention. */
  readonly attentionScale: number;
  /** x becomes cap · tanh(x / cap); null leaves it. */
  readonly caps: { readonly attention: number | null; readonly logits: number | null };
  /** Multiply the embedding, what each sub-layer adds, and the last hidden state. */
  readonly scales: { readonly embedding: number; readonly residual: number; readonly logits: number };
  /** 1 without routed experts. */
  readonly experts: number;
  /** Experts that each token goes to. */
  readonly chosenExperts: number;
  readonly expertRule: ExpertRule | null;
  /** Whether the output layer is the token embedding. */
  readonly tiedEmbeddings: boolean;
  readonly dropout: { readonly embedding: number; readonly attention: number; readonly residual: number };
  /** Standard deviation of the initial weights. */
  readonly initializerRange: number;
  /** The config.json that all of this was read from; what is written is this, with sizes and ids that changed. */
  readonly config: ModelConfig;
}

/** The most common decoder: Llama's block. A family says what differs. */
export const plainDecoder = {
  activation: "silu",
  gated: true,
  normsBefore: true,
  normsAfter: null,
  parallel: false,
  sharedNorm: false,
  embeddingNorm: false,
  queryKeyNorm: null,
  bias: { qkv: false, projection: false, mlp: false, head: false },
  positions: { kind: "none" },
  caps: { attention: null, logits: null },
  scales: { embedding: 1, residual: 1, logits: 1 },
  experts: 1,
  chosenExperts: 1,
  expertRule: null,
  tiedEmbeddings: false,
  dropout: { embedding: 0, attention: 0, residual: 0 },
  initializerRange: 0.02,
} as const satisfies Partial<DecoderSettings>;

/**
 * ALiBi's slopes, one a head: 2^(−8(h+1)/n) for n heads, n a power of 2; for other numbers those of the power below, and
 * then every other one of the power above.
 *
 * @see Press et al. (2022), "Train short, test long", section 3, arXiv:2108.12409, and its published code.
 */
export function alibiSlopes(heads: number): number[] {
  const below = 2 ** Math.floor(Math.log2(heads));
  const ofPower = (n: number, h: number): number => 2 ** ((-8 * (h + 1)) / n);
  return Array.from({ length: heads }, (_, h) => (h < below ? ofPower(below, h) : ofPower(2 * below, 2 * (h - below))));
}
