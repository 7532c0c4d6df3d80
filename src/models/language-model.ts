import type { Backend } from "../backend/kernels.ts";
import type { ForwardOptions } from "../nn/attention.ts";
import type { CacheType, KeyValueCache } from "../nn/key-value-cache.ts";
import type { LstmState } from "../nn/lstm-layer.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** What every model has, whatever it reads: settings, and a place where its parameters live. Enough to load and store it. */
export interface StoredModel {
  readonly settings: object;
  readonly backend: Backend;
}

/** A model that reads text: it knows so many tokens, and sees so many at once. */
export interface TextModel extends StoredModel {
  readonly settings: { readonly vocabularySize: number; readonly context: number };
}

/** A forward pass, and what training adds to the loss of its predictions. */
export interface TrainingPass {
  /** `[batch, time, width]` */
  readonly hidden: Tensor;
  /** Scalar; null where the model has none. */
  readonly penalty: Tensor | null;
  /** Scalars worth logging, by their name in the log. */
  readonly metrics: Readonly<Record<string, Tensor>>;
}

/** What every decoder offers to training, scoring and generation. Shared code reads these and never asks which model it has. */
export interface LanguageModel extends TextModel {
  /**
   * A prefix language model: the tokens that a text begins with are read at once, each seeing all of them. Who gives a
   * model its beginning (a prompt) reads this, and says so to the cache or the mask.
   */
  readsPrefix?: boolean;
  /** `[vocabularySize, width]` */
  readonly tokenEmbedding: Tensor;
  /** `[vocabularySize, width]`: logits are hidden · outputWeightᵀ. */
  readonly outputWeight: Tensor;
  /** `[vocabularySize]`, added to the logits where a model has it. */
  readonly outputBias?: Tensor | null;
  /** Logits, bias included, become cap · tanh(logit / cap) where a model has it. */
  readonly logitCap?: number | null;
  /** Token ids int32 `[batch, time]` → hidden states `[batch, time, width]`. */
  forward(ids: Tensor, options?: ForwardOptions): Tensor;
  /** {@link forward} and a penalty of the model's own: routed experts have one, that they be equally busy. */
  forwardTraining?(ids: Tensor, options?: ForwardOptions): TrainingPass;
  /** What a block gives, `[…, width]` → what {@link forward} would give if that block were the last: its norm and its scale. */
  finish(states: Tensor): Tensor;
  /** Hidden states `[…, width]` → logits `[…, vocabularySize]`. */
  logits(hidden: Tensor): Tensor;
  /** An empty cache for up to `slots` sequences of up to `capacity` tokens, kept as float32 unless said otherwise. */
  newCache(slots: number, capacity: number, type?: CacheType): KeyValueCache;
}

/** A decoder that keeps all it has read in a state of fixed size, and can go on from there. */
export interface RecurrentModel extends LanguageModel {
  /** What it knows before it has read anything, one state a layer. */
  newState(batch: number): readonly LstmState[];
  /** {@link forward} from a state on; and the state after the last token, off the tape. */
  readOn(ids: Tensor, state: readonly LstmState[], options?: ForwardOptions): ReadOn;
}

/** What a recurrent model makes of some tokens. */
export interface ReadOn {
  /** `[batch, time, width]` */
  readonly hidden: Tensor;
  readonly state: readonly LstmState[];
}

/** Whether a model can read on from a state. */
export function isRecurrent(model: LanguageModel): model is RecurrentModel {
  return "readOn" in model;
}
