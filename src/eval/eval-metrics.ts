import { DataError, UnsupportedError } from "../core/errors.ts";
import type { Aggregation, MetricValue } from "./aggregations.ts";
import { aggregations, standardError } from "./aggregations.ts";
import { PythonPattern } from "./python-pattern.ts";
import type { Likelihood } from "./scorer.ts";
import type { TaskFile } from "./task-file.ts";
import { indexOfLargest } from "./task-metrics.ts";
import type { Prompt } from "./task-prompts.ts";
import { answerWords, isExactMatch, wordF1 } from "./text-match.ts";

/** What a model answered to one prompt, by the type of the task. */
export type Answer =
  | {
      readonly kind: "likelihoods";
      readonly likelihoods: readonly Likelihood[];
      /** Of the same choices without a question, where a metric compares the two. */
      readonly withoutQuestion?: readonly Likelihood[];
    }
  | { readonly kind: "text likelihood"; readonly logProb: number }
  /** Several where the task repeats its questions. */
  | { readonly kind: "texts"; readonly texts: readonly string[] };

/** One prompt with what was answered, and what a filter made of a text. */
interface Answered {
  readonly prompt: Prompt;
  readonly answer: Answer;
  readonly text: string;
}

type Options = Readonly<Record<string, unknown>>;

/** How one metric comes from the answers of all prompts. */
interface MetricRule {
  readonly of: (answered: Answered, options: Options) => MetricValue;
  /** The usual aggregation, by name. */
  readonly aggregation: string;
  readonly higherIsBetter: boolean;
  /** Options beside the aggregation. */
  readonly options?: readonly string[];
}

const isRight = ({ prompt }: Answered, chosen: number): number => (prompt.right.includes(chosen) ? 1 : 0);

const perChoice = (lengthOf: (choice: string) => number): MetricRule["of"] => {
  return (answered) => {
    const { choices } = answered.prompt;
    const scores = likelihoodsOf(answered).map(({ logProb }, i) => logProb / lengthOf(choices[i] ?? ""));
    return isRight(answered, indexOfLargest(scores));
  };
};

/** Likeliest by log p(choice | question) − log p(choice): by what the question adds to the choice. */
const byInformation: MetricRule["of"] = (answered) => {
  const { answer } = answered;
  const before = answer.kind === "likelihoods" ? (answer.withoutQuestion ?? []) : [];
  const gained = likelihoodsOf(answered).map(({ logProb }, i) => logProb - (before[i]?.logProb ?? Number.NaN));
  return isRight(answered, indexOfLargest(gained));
};

/** Right class and chosen class. */
const classes: MetricRule["of"] = (answered) => {
  const { target, right } = answered.prompt;
  if (Array.isArray(target)) {
    throw new DataError(
      `row ${answered.prompt.index + 1}: doc_to_target lists several right answers, f1 and mcc need one; use acc`,
    );
  }
  return [right[0] ?? 0, indexOfLargest(likelihoodsOf(answered).map(({ logProb }) => logProb))];
};

const perUnit = (count: (text: string) => number, aggregation: string): MetricRule => ({
  of: ({ prompt, answer }) => [
    answer.kind === "text likelihood" ? answer.logProb : Number.NaN,
    count(prompt.answers[0] ?? ""),
  ],
  aggregation,
  higherIsBetter: false,
});

const share = { aggregation: "mean", higherIsBetter: true } as const;
const bytes = (text: string): number => Buffer.byteLength(text);
const characters = (text: string): number => [...text].length;

/** Metrics by the harness's names, for each type of task. */
const rules: Readonly<Record<TaskFile["output_type"], Readonly<Record<string, MetricRule>>>> = {
  multiple_choice: {
    acc: { of: perChoice(() => 1), ...share },
    acc_norm: { of: perChoice(characters), ...share },
    acc_bytes: { of: perChoice(bytes), ...share },
    acc_mutual_info: { of: byInformation, ...share },
    exact_match: {
      of: (answered) => (answered.prompt.right.some((i) => likelihoodsOf(answered)[i]?.isGreedy) ? 1 : 0),
      ...share,
    },
    f1: { of: classes, aggregation: "f1", higherIsBetter: true },
    mcc: { of: classes, aggregation: "matthews_corrcoef", higherIsBetter: true },
  },
  loglikelihood: {
    acc: { of: (answered) => (likelihoodsOf(answered)[0]?.isGreedy ? 1 : 0), ...share },
    perplexity: {
      of: (answered) => likelihoodsOf(answered)[0]?.logProb ?? Number.NaN,
      aggregation: "perplexity",
      higherIsBetter: false,
    },
  },
  loglikelihood_rolling: {
    word_perplexity: perUnit((text) => answerWords(text).length, "weighted_perplexity"),
    byte_perplexity: perUnit(bytes, "weighted_perplexity"),
    bits_per_byte: perUnit(bytes, "bits_per_byte"),
    bits_per_character: perUnit(characters, "bits_per_byte"),
  },
  generate_until: {
    exact_match: {
      of: ({ prompt, text }, options) => {
        return prompt.answers.some((answer) => isExactMatch(text, answer, options)) ? 1 : 0;
      },
      ...share,
      options: ["ignore_case", "ignore_punctuation", "ignore_numbers", "regexes_to_ignore"],
    },
    f1: { of: ({ prompt, text }) => Math.max(...prompt.answers.map((answer) => wordF1(text, answer))), ...share },
  },
};

/** Metrics that a task has when its file lists none. */
const usual: Readonly<Record<TaskFile["output_type"], readonly string[]>> = {
  multiple_choice: ["acc", "acc_norm"],
  loglikelihood: ["perplexity", "acc"],
  loglikelihood_rolling: ["word_perplexity", "byte_perplexity", "bits_per_byte"],
  generate_until: ["exact_match"],
};

/** One metric of one task, behind one filter. */
export interface TaskMetric {
  readonly name: string;
  /** Name of the filter that texts went through. */
  readonly filter: string;
  readonly value: number;
  /** Standard error; NaN where there is none. */
  readonly error: number;
  readonly higherIsBetter: boolean;
  /** Of each prompt, in order. */
  readonly perPrompt: readonly MetricValue[];
}

/** What a filter made of the answers: one text for each prompt, empty where the task generates none. */
export interface FilteredTexts {
  readonly name: string;
  readonly texts: readonly string[];
}

/**
 * Every metric of a task behind one of its filters.
 *
 * @param iterations - Bootstrap samples behind a standard error; 0 is no errors.
 * @throws {DataError} when a pattern of `regexes_to_ignore` takes too long.
 */
export async function taskMetrics(
  config: TaskFile,
  prompts: readonly Prompt[],
  answers: readonly Answer[],
  filtered: FilteredTexts,
  iterations: number,
): Promise<TaskMetric[]> {
  const out: TaskMetric[] = [];
  for (const { name, rule, aggregation, options, higherIsBetter } of metricsOf(config)) {
    const perPrompt = prompts.map((prompt, i) => {
      return rule.of({ prompt, answer: answers[i] as Answer, text: filtered.texts[i] ?? "" }, options);
    });
    const error = await standardError(aggregation, perPrompt, iterations);
    out.push({ name, filter: filtered.name, value: aggregation.of(perPrompt), error, higherIsBetter, perPrompt });
  }
  return out;
}

/** A metric as a task asks for it. */
interface AskedMetric {
  readonly name: string;
  readonly rule: MetricRule;
  readonly aggregation: Aggregation;
  readonly options: Options;
  readonly higherIsBetter: boolean;
}

/**
 * The metrics that a task asks for; may be called early, so that what is not known is found before any work.
 *
 * @throws {UnsupportedError} naming a metric, aggregation or option that is not known.
 */
export function metricsOf(config: TaskFile): AskedMetric[] {
  const known = rules[config.output_type];
  const listed: NonNullable<TaskFile["metric_list"]> =
    config.metric_list ?? usual[config.output_type].map((metric) => ({ metric }));
  return listed.map(({ metric: name, aggregation, higher_is_better: better, ...options }) => {
    const rule = Object.hasOwn(known, name) ? known[name] : undefined;
    const where = `task ${config.task}: metric ${name}`;
    if (!rule) {
      throw new UnsupportedError(
        `${where} is not known for ${config.output_type}; known are ${Object.keys(known).join(", ")}`,
      );
    }
    const other = Object.keys(options).find((option) => !(rule.options ?? []).includes(option));
    if (other !== undefined) {
      throw new UnsupportedError(`${where} has the option ${other}, which is not supported; write it without`);
    }
    const patterns = [options.regexes_to_ignore ?? []].flat().map((source) => new PythonPattern(where, String(source)));
    return {
      ...{ name, rule, aggregation: aggregationOf(where, rule, aggregation ?? rule.aggregation) },
      options: { ...options, regexes_to_ignore: patterns },
      higherIsBetter: better ?? rule.higherIsBetter,
    };
  });
}

function aggregationOf(where: string, rule: MetricRule, name: string): Aggregation {
  const usualTakes = aggregations[rule.aggregation]?.takes;
  const asked = Object.hasOwn(aggregations, name) ? aggregations[name] : undefined;
  if (asked && asked.takes === usualTakes) return asked;
  const fitting = Object.keys(aggregations).filter((other) => aggregations[other]?.takes === usualTakes);
  throw new UnsupportedError(`${where} cannot be aggregated by ${name}; use ${fitting.join(", ")}`);
}

function likelihoodsOf({ answer }: Answered): readonly Likelihood[] {
  return answer.kind === "likelihoods" ? answer.likelihoods : [];
}
