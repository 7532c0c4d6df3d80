import { UnsupportedError } from "../core/errors.ts";
import { SamplingSettings } from "../generate/sampling.ts";
import { Float } from "../text/jinja/values.ts";
import { answerFilters } from "./answer-filters.ts";
import type { Answer, FilteredTexts, TaskMetric } from "./eval-metrics.ts";
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
  /** Of each filter, one after the other. */
  readonly metrics: readonly TaskMetric[];
  /** What each filter made of the answers. */
  readonly filtered: readonly FilteredTexts[];
  readonly seconds: number;
}

/**
 * Puts the prompts of a task to a model.
 *
 * @param bootstrapIterations - Samples behind the standard errors that have no formula; 0 is no errors.
 */
export async function runTask(
  task: OpenedTask,
  shots: number,
  prompts: readonly Prompt[],
  scorer: Scorer,
  report: Report,
  bootstrapIterations = 1000,
): Promise<TaskResult> {
  const start = performance.now();
  const { config } = task;
  checkTask(config);
  const answers = await ask(config, prompts, scorer, report);
  const filtered = answerFilters(config).map(({ name, apply }) => ({
    name,
    texts: answers.map((answer, i) => {
      const prompt = prompts[i];
      return answer.kind === "texts" && prompt ? apply(answer.texts, prompt.doc) : "";
    }),
  }));
  const metrics: TaskMetric[] = [];
  for (const texts of filtered) {
    metrics.push(...(await taskMetrics(config, prompts, answers, texts, bootstrapIterations)));
  }
  return { task, shots, prompts, answers, metrics, filtered, seconds: (performance.now() - start) / 1000 };
}

/**
 * Finds what a task asks for and cannot have before any work is done.
 *
 * @throws {UnsupportedError} naming the metric, the filter or the field.
 */
export function checkTask(config: TaskFile): void {
  metricsOf(config);
  answerFilters(config);
  if (config.output_type === "generate_until") return;
  const steps = (config.filter_list ?? []).flatMap(({ filter }) => filter);
  const other = steps.find((step) => step.function !== "take_first");
  const field = other ? `the filter ${other.function}` : (config.repeats ?? 1) > 1 ? "repeats" : null;
  if (field === null) return;
  throw new UnsupportedError(
    `task ${config.task}: ${field} is for generated texts, not for ${config.output_type}; remove it`,
  );
}

async function ask(config: TaskFile, prompts: readonly Prompt[], scorer: Scorer, report: Report): Promise<Answer[]> {
  switch (config.output_type) {
    case "multiple_choice":
    case "loglikelihood": {
      const all = await scorer.likelihoods(prompts, report);
      const without = asksWithoutQuestion(config) ? await scorer.likelihoods(prompts.map(alone), () => {}) : [];
      return all.map((likelihoods, i) => {
        const withoutQuestion = without[i];
        return { kind: "likelihoods", likelihoods, ...(withoutQuestion && { withoutQuestion }) };
      });
    }
    case "loglikelihood_rolling": {
      const texts = prompts.map(({ answers }) => answers[0] ?? "");
      const all = await scorer.textLikelihoods(texts, report);
      return all.map((logProb) => ({ kind: "text likelihood", logProb }));
    }
    case "generate_until": {
      const repeats = config.repeats ?? 1;
      const requests = prompts.flatMap(({ context }) =>
        Array.from({ length: repeats }, () => ({ context, ...generationOf(config) })),
      );
      const all = await scorer.continuations(requests, (done) => report(Math.floor(done / repeats)));
      return prompts.map((_, i) => ({ kind: "texts", texts: all.slice(i * repeats, (i + 1) * repeats) }));
    }
  }
}

/** Whether a metric compares the choices with and without the question. */
export function asksWithoutQuestion(config: TaskFile): boolean {
  return metricsOf(config).some(({ name }) => name === "acc_mutual_info");
}

/** The choices of a question without it. */
function alone({ continuations }: Prompt): LikelihoodRequest {
  return { context: "", continuations };
}

/** The settings of generation as the harness records them: those of the task, or the usual ones. */
export function generationSettings({ generation_kwargs: given, fewshot_delimiter: end }: TaskFile): object {
  if (!given) return { temperature: new Float(0), do_sample: false, max_gen_toks: 256, until: [end] };
  const { temperature } = given;
  const float = temperature === undefined ? {} : { temperature: new Float(temperature) };
  return { ...given, ...float, until: given.until ?? [end] };
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
