import type { WatchedBackend } from "../backend/watch-attention.ts";
import { attentionWeights } from "../generate/attention-weights.ts";
import type { LensSlice } from "../generate/logit-lens.ts";
import { logitLens } from "../generate/logit-lens.ts";
import type { LanguageModel, TextModel } from "../models/language-model.ts";
import type { ListedParameter } from "../models/parameter-list.ts";
import type { RewardModel } from "../models/reward-model.ts";
import type { TensorSummary } from "../nn/tensor-summary.ts";
import { summarize } from "../nn/tensor-summary.ts";
import { withoutGradients } from "../tensor/op.ts";
import { tensorScope } from "../tensor/scope.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { Inspected, Question } from "./inspection.ts";

/** What of an open model can be looked into. */
export interface Inspectable {
  readonly watched: WatchedBackend;
  readonly parameters: readonly ListedParameter[];
  /** The text's model: in a reward model, its body. */
  readonly body: TextModel & { forward(ids: Tensor): Tensor };
  /** Null where it does not go on with texts. */
  readonly writer: LanguageModel | null;
  readonly judge: RewardModel | null;
}

/** How many layers of attention there are, and heads in each; null where there is none. */
export function attentionSize({ settings }: { readonly settings: object }): {
  readonly layers: number;
  readonly heads: number;
} | null {
  const { layers, heads } = settings as { readonly layers?: number; readonly heads?: number };
  return layers === undefined || heads === undefined ? null : { layers, heads };
}

/** Answers questions about the inside of a model. */
export class Inspector {
  readonly #model: Inspectable;
  /** By name; parameters do not change. */
  readonly #summaries = new Map<string, TensorSummary>();

  constructor(model: Inspectable) {
    this.#model = model;
    model.watched.stop();
  }

  /** Works an answer out, in steps between which the model may do other things. */
  async *answer(question: Question): AsyncGenerator<void, Inspected> {
    const { parameters } = this.#model;
    switch (question.about) {
      case "parameters":
        return parameters.map(({ tensor: _, ...entry }) => entry);
      case "parameter":
        return yield* this.#summary(question.name);
      case "lens":
        return yield* this.#lens(question);
      case "attention":
        return this.#attention(question);
      default:
        return this.#rewards(question.ids);
    }
  }

  async *#summary(name: string): AsyncGenerator<void, TensorSummary | null> {
    const parameter = this.#model.parameters.find((one) => one.name === name);
    if (!parameter) return null;
    const summary = this.#summaries.get(name) ?? (yield* summarize(parameter.tensor));
    this.#summaries.set(name, summary);
    return summary;
  }

  async *#lens({ ids, alternatives }: Question<"lens">): AsyncGenerator<void, readonly LensSlice[]> {
    const { writer } = this.#model;
    if (!writer) throw new Error("internal: a lens on a model that does not write");
    const slices: LensSlice[] = [];
    for await (const slice of logitLens(writer, ids, alternatives)) {
      slices.push(slice);
      yield;
    }
    return slices;
  }

  #attention({ ids, layers }: Question<"attention">): Promise<Inspected<"attention">> {
    const { watched, body } = this.#model;
    return attentionWeights(watched, layers && new Set(layers), () => {
      body.forward(Tensor.from(body.backend, ids, [1, ids.length]));
    });
  }

  async #rewards(ids: Int32Array): Promise<Float32Array> {
    const { judge } = this.#model;
    if (!judge) throw new Error("internal: rewards of a model that gives none");
    const places = Int32Array.from(ids, (_, i) => i);
    const scores = withoutGradients(() =>
      tensorScope(() => judge.scores(Tensor.from(judge.backend, ids, [1, ids.length]), places)),
    );
    const values = await scores.floats();
    scores.release();
    return values;
  }
}
