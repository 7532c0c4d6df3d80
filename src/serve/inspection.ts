import type { AttentionMap } from "../backend/watch-attention.ts";
import type { LensSlice } from "../generate/logit-lens.ts";
import type { ListedParameter } from "../models/parameter-list.ts";
import type { TensorSummary } from "../nn/tensor-summary.ts";

/** What can be asked about the inside of a model, by what it is about. Only plain records. */
interface Questions {
  /** Which parameters there are. */
  readonly parameters: object;
  /** The numbers of one of them in a few. */
  readonly parameter: { readonly name: string };
  /** What a text looks like behind each block; a text of at most as many tokens as the model reads. */
  readonly lens: { readonly ids: Int32Array; readonly alternatives: number };
  /** What looks at what, in some layers or in all. */
  readonly attention: { readonly ids: Int32Array; readonly layers: readonly number[] | null };
  /** The reward, read at each token. */
  readonly rewards: { readonly ids: Int32Array };
}

/** And what is answered. */
interface Answers {
  readonly parameters: readonly Omit<ListedParameter, "tensor">[];
  /** Null where there is none of that name. */
  readonly parameter: TensorSummary | null;
  readonly lens: readonly LensSlice[];
  readonly attention: readonly AttentionMap[];
  readonly rewards: Float32Array;
}

/** A subject that a model can be asked about. */
export type Subject = keyof Questions;

/** A question to the engine of a model. */
export type Question<About extends Subject = Subject> = {
  [Each in About]: { readonly about: Each } & Questions[Each];
}[About];

/** What it answers. */
export type Inspected<About extends Subject = Subject> = Answers[About];
