import { generate } from "../generate/generate.ts";
import type { SamplingSettings } from "../generate/sampling.ts";
import type { TokenNames } from "../generate/spare-rows.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { Answered } from "./answers.ts";

/** An answer that a model gave. */
export interface SampledAnswer extends Answered {
  /** Whether it ends with an end token; else it was cut. */
  readonly ended: boolean;
}

/** How answers are sampled. */
export interface AnswerSampling {
  readonly sampling: SamplingSettings;
  readonly maxNewTokens: number;
  readonly endTokens: ReadonlySet<number>;
  readonly seed: number;
  /** Sequences decoded side by side. */
  readonly batchSize: number;
  /** Ends everything before the next token, with its reason as the error. */
  readonly signal?: AbortSignal | undefined;
  /** What may be drawn: ids that it has a token for. All where there is no tokenizer. */
  readonly tokenizer: TokenNames | undefined;
}

/** One answer to each prompt, in the order of the prompts, from batched decoding with a cache. */
export async function sampleAnswers(
  model: LanguageModel,
  prompts: readonly Int32Array[],
  options: AnswerSampling,
): Promise<SampledAnswer[]> {
  const answers = prompts.map(() => ({ tokens: [] as number[], ended: false }));
  for await (const { index, token, finish } of generate(model, prompts, options)) {
    const answer = answers[index];
    answer?.tokens.push(token);
    if (answer && finish === "stop") answer.ended = true;
  }
  return prompts.map((prompt, i) => {
    const { tokens = [], ended = false } = answers[i] ?? {};
    return { prompt, answer: Int32Array.from(tokens), ended };
  });
}
