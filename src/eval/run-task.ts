import { SamplingSettings } from "../generate/sampling.ts";
import type { AnswerFilter } from "./answer-filters.ts";
import { answerFilter } from "./answer-filters.ts";
import type { Answer, TaskMetric } from "./eval-metrics.ts";
import { metricsOf, taskMetrics } from "./eval-metrics.ts";
import type { LikelihoodRequest, Report, Scorer } from "./scorer.ts";
import type { OpenedTask, TaskFile } from "./task-file.ts";
import type { Prompt } from "./task-prompts.ts";

/** A task, its prompts, what was answered and how good that is. */
export interface TaskResult {
  readonly task: OpenedTask;
  readonly shots: number;
  readonly prompts: readonly Prompt[];
  readonly answers: readonly Answer[];
  readonly metrics: readonly TaskMetric[];
  /** Name of the filter that texts went through, as metrics are called after it. */
  readonly filter: string;
  readonly seconds: number;
}

/** Puts the prompts of a task to a model. */
export async function runTask(
  task: OpenedTask,
  shots: number,
  prompts: readonly Prompt[],
  scorer: Scorer,
  report: Report,
): Promise<TaskResult> {
  const start = performance.now();
  const { config } = task;
  metricsOf(config); // a metric that is not known is found before any work
  const filter = answerFilter(config);
  const answers = await ask(config, prompts, scorer, filter.apply, report);
  const metrics = taskMetrics(config, prompts, answers);
  const seconds = (performance.now() - start) / 1000;
  return { task, shots, prompts, answers, metrics, filter: filter.name, seconds };
}

async function ask(
  config: TaskFile,
  prompts: readonly Prompt[],
  scorer: Scorer,
  filter: AnswerFilter,
  report: Report,
): Promise<Answer[]> {
  switch (config.output_type) {
    case "multiple_choice":
    case "loglikelihood": {
      const all = await scorer.likelihoods(prompts, report);
      const asksAlone = metricsOf(config).some(({ name }) => name === "acc_mutual_info");
      const without = asksAlone ? await scorer.likelihoods(prompts.map(alone), () => {}) : [];
      return all.map((likelihoods, i) => {
        const withoutQuestion = without[i];
        return { kind: "likelihoods", likelihoods, ...(withoutQuestion && { withoutQuestion }) };
      });
    }
    case "loglikelihood_rolling": {
      const texts = prompts.map(({ target }) => (typeof target === "number" ? "" : (target[0] ?? "")));
      const all = await scorer.textLikelihoods(texts, report);
      return all.map((logProb) => ({ kind: "text likelihood", logProb }));
    }
    case "generate_until": {
      const requests = prompts.map(({ context }) => ({ context, ...generationOf(config) }));
      const all = await scorer.continuations(requests, report);
      return all.map((text) => ({ kind: "text", text, filtered: filter(text) }));
    }
  }
}

/** The choices of a question without it. */
function alone({ choices }: Prompt): LikelihoodRequest {
  return { context: "", continuations: choices };
}

function generationOf({ generation_kwargs: given, fewshot_delimiter: end }: TaskFile): {
  until: string[];
  maxNewTokens: number;
  sampling: SamplingSettings;
} {
  const { until = [end], max_gen_toks: maxNewTokens = 256, do_sample: isSampled, temperature = 0 } = given ?? {};
  const sampling = { temperature: isSampled === false ? 0 : temperature, topP: given?.top_p, topK: given?.top_k };
  const set = Object.fromEntries(Object.entries(sampling).filter(([, value]) => value !== undefined));
  return { until: [until].flat(), maxNewTokens, sampling: SamplingSettings.parse(set) };
}
