import { DataError } from "../core/errors.ts";
import { pythonPattern } from "./python-pattern.ts";
import type { Likelihood } from "./scorer.ts";
import type { TaskFile } from "./task-file.ts";
import { bootstrap, confusionMatrix, indexOfLargest, macroF1, matthews } from "./task-metrics.ts";
import type { Prompt } from "./task-prompts.ts";

/** What a model answered to one prompt, by the type of the task. */
export type Answer =
  | {
      readonly kind: "likelihoods";
      readonly likelihoods: readonly Likelihood[];
      /** Of the same choices without a question, where a metric compares the two. */
      readonly withoutQuestion?: readonly Likelihood[];
    }
  | { readonly kind: "text likelihood"; readonly logProb: number }
  | { readonly kind: "text"; readonly text: string; readonly filtered: string };

/** A value of one prompt: what a metric is computed from. */
type Value = number | readonly [number, number];

/** How one metric comes from the answers of all prompts. */
interface MetricRule {
  readonly of: (prompt: Prompt, answer: Answer, options: Readonly<Record<string, unknown>>) => Value;
  readonly aggregate: (values: readonly Value[]) => number;
  /** Standard error; NaN where there is none. */
  readonly error: (values: readonly Value[]) => number;
  readonly higherIsBetter: boolean;
}

const perChoice = (lengthOf: (choice: string) => number): MetricRule["of"] => {
  return (prompt, answer) => {
    const scores = likelihoodsOf(answer).map(({ logProb }, i) => logProb / lengthOf(prompt.choices[i] ?? ""));
    return indexOfLargest(scores) === prompt.target ? 1 : 0;
  };
};

/** Likeliest by log p(choice | question) − log p(choice): by what the question adds to the choice. */
const byInformation: MetricRule["of"] = (prompt, answer) => {
  const before = answer.kind === "likelihoods" ? (answer.withoutQuestion ?? []) : [];
  const gained = likelihoodsOf(answer).map(({ logProb }, i) => logProb - (before[i]?.logProb ?? Number.NaN));
  return indexOfLargest(gained) === prompt.target ? 1 : 0;
};

const share = { aggregate: meanOf, error: meanError, higherIsBetter: true } as const;

/** Metrics by the harness's names, for each type of task. */
const rules: Readonly<Record<TaskFile["output_type"], Readonly<Record<string, MetricRule>>>> = {
  multiple_choice: {
    acc: { of: perChoice(() => 1), ...share },
    acc_norm: { of: perChoice((choice) => [...choice].length), ...share },
    acc_bytes: { of: perChoice((choice) => Buffer.byteLength(choice)), ...share },
    acc_mutual_info: { of: byInformation, ...share },
    exact_match: { of: (prompt, answer) => (likelihoodsOf(answer)[Number(prompt.target)]?.isGreedy ? 1 : 0), ...share },
    f1: pairRule((pairs) => binaryF1(pairs)),
    mcc: pairRule((pairs) => matthews(confusionOf(pairs))),
  },
  loglikelihood: {
    acc: { of: (_, answer) => (likelihoodsOf(answer)[0]?.isGreedy ? 1 : 0), ...share },
    perplexity: {
      of: (_, answer) => likelihoodsOf(answer)[0]?.logProb ?? Number.NaN,
      aggregate: (values) => Math.exp(-meanOf(values)),
      error: (values) => bootstrapError(values, (some) => Math.exp(-meanOf(some))),
      higherIsBetter: false,
    },
  },
  loglikelihood_rolling: {
    word_perplexity: perUnit(
      (text) => text.split(/\s+/u).length,
      (nats) => Math.exp(nats),
    ),
    byte_perplexity: perUnit(
      (text) => Buffer.byteLength(text),
      (nats) => Math.exp(nats),
    ),
    bits_per_byte: perUnit(
      (text) => Buffer.byteLength(text),
      (nats) => nats / Math.LN2,
    ),
    bits_per_character: perUnit(
      (text) => [...text].length,
      (nats) => nats / Math.LN2,
    ),
  },
  generate_until: {
    exact_match: {
      of: (prompt, answer, options) => {
        const said = normalised(textOf(answer), options);
        return targetsOf(prompt).some((target) => normalised(target, options) === said) ? 1 : 0;
      },
      ...share,
    },
    f1: {
      of: (prompt, answer) => Math.max(...targetsOf(prompt).map((target) => wordF1(textOf(answer), target))),
      ...share,
    },
  },
};

/** Metrics that a task has when its file lists none. */
const usual: Readonly<Record<TaskFile["output_type"], readonly string[]>> = {
  multiple_choice: ["acc", "acc_norm"],
  loglikelihood: ["perplexity", "acc"],
  loglikelihood_rolling: ["word_perplexity", "byte_perplexity", "bits_per_byte"],
  generate_until: ["exact_match"],
};

/** One metric of one task. */
export interface TaskMetric {
  readonly name: string;
  readonly value: number;
  /** Standard error; NaN where there is none. */
  readonly error: number;
  readonly higherIsBetter: boolean;
  /** Of each prompt, in order. */
  readonly perPrompt: readonly Value[];
}

/**
 * Every metric of a task.
 *
 * @throws {DataError} when the task asks for one that is not known for its type.
 */
export function taskMetrics(config: TaskFile, prompts: readonly Prompt[], answers: readonly Answer[]): TaskMetric[] {
  return metricsOf(config).map(({ name, rule, options, higherIsBetter }) => {
    const values = prompts.map((prompt, i) => rule.of(prompt, answers[i] as Answer, options));
    return { name, value: rule.aggregate(values), error: rule.error(values), higherIsBetter, perPrompt: values };
  });
}

/** The metrics that a task asks for; may be called early, so that a name that is not known is found before any work. */
export function metricsOf(config: TaskFile): {
  readonly name: string;
  readonly rule: MetricRule;
  readonly options: Readonly<Record<string, unknown>>;
  readonly higherIsBetter: boolean;
}[] {
  const known = rules[config.output_type];
  const listed: NonNullable<TaskFile["metric_list"]> =
    config.metric_list ?? usual[config.output_type].map((metric) => ({ metric }));
  return listed.map(({ metric: name, aggregation: _, higher_is_better: better, ...options }) => {
    const rule = known[name];
    if (!rule) {
      throw new DataError(
        `task ${config.task}: metric ${name} is not known for ${config.output_type}; known are ${Object.keys(known).join(", ")}`,
      );
    }
    const ignored = Array.isArray(options.regexes_to_ignore) ? options.regexes_to_ignore : [];
    const patterns = ignored.map((source) => pythonPattern(config.task, String(source)));
    return {
      name,
      rule,
      options: { ...options, regexes_to_ignore: patterns },
      higherIsBetter: typeof better === "boolean" ? better : rule.higherIsBetter,
    };
  });
}

function likelihoodsOf(answer: Answer): readonly Likelihood[] {
  return answer.kind === "likelihoods" ? answer.likelihoods : [];
}

function textOf(answer: Answer): string {
  return answer.kind === "text" ? answer.filtered : "";
}

function targetsOf({ target, choices }: Prompt): readonly string[] {
  return typeof target === "number" ? [choices[target] ?? ""] : target;
}

function perUnit(count: (text: string) => number, scale: (natsPerUnit: number) => number): MetricRule {
  const aggregate = (values: readonly Value[]): number => {
    const pairs = values as readonly (readonly [number, number])[];
    const units = pairs.reduce((sum, [, n]) => sum + n, 0);
    return scale(-pairs.reduce((sum, [logProb]) => sum + logProb, 0) / units);
  };
  return {
    of: (prompt, answer) => [
      answer.kind === "text likelihood" ? answer.logProb : Number.NaN,
      count(targetsOf(prompt)[0] ?? ""),
    ],
    aggregate,
    error: (values) => bootstrapError(values, aggregate),
    higherIsBetter: false,
  };
}

/** A metric of (right class, class chosen) of all prompts. */
function pairRule(metric: (pairs: readonly (readonly [number, number])[]) => number): MetricRule {
  const aggregate = (values: readonly Value[]): number => metric(values as readonly (readonly [number, number])[]);
  return {
    of: (prompt, answer) => [
      Number(prompt.target),
      indexOfLargest(likelihoodsOf(answer).map(({ logProb }) => logProb)),
    ],
    aggregate,
    error: (values) => bootstrapError(values, aggregate),
    higherIsBetter: true,
  };
}

function confusionOf(pairs: readonly (readonly [number, number])[]): number[][] {
  const [actual, predicted] = [pairs.map(([a]) => a), pairs.map(([, b]) => b)];
  return confusionMatrix({ actual, predicted, classes: 1 + Math.max(0, ...actual, ...predicted) });
}

/** Of class 1, as in the harness; of all classes where there are more than two. */
function binaryF1(pairs: readonly (readonly [number, number])[]): number {
  const confusion = confusionOf(pairs);
  if (confusion.length > 2) return macroF1(confusion);
  const both = confusion[1]?.[1] ?? 0;
  const size = pairs.reduce((sum, [a, b]) => sum + (a === 1 ? 1 : 0) + (b === 1 ? 1 : 0), 0);
  return size === 0 ? 0 : (2 * both) / size;
}

/** As {@link metricsOf} has made them. */
function patternsIn({ regexes_to_ignore: patterns }: Readonly<Record<string, unknown>>): readonly RegExp[] {
  return Array.isArray(patterns) ? patterns.filter((pattern) => pattern instanceof RegExp) : [];
}

function normalised(text: string, options: Readonly<Record<string, unknown>>): string {
  let out = patternsIn(options).reduce((rest, pattern) => rest.replaceAll(pattern, ""), text);
  if (options.ignore_case === true) out = out.toLowerCase();
  if (options.ignore_punctuation === true) out = out.replaceAll(/[!-/:-@[-`{-~]/g, "");
  if (options.ignore_numbers === true) out = out.replaceAll(/\d/g, "");
  return out;
}

/** Harmonic mean of the shares of words in common, without case, punctuation and articles, as for SQuAD. */
function wordF1(said: string, target: string): number {
  const words = (text: string): string[] =>
    text
      .toLowerCase()
      .replaceAll(/[!-/:-@[-`{-~]/g, "")
      .split(/\s+/)
      .filter((word) => word !== "" && !/^(a|an|the)$/.test(word));
  const [a, b] = [words(said), words(target)];
  const left = [...b];
  const common = a.filter((word) => {
    const at = left.indexOf(word);
    if (at >= 0) left.splice(at, 1);
    return at >= 0;
  }).length;
  return a.length + b.length === 0 ? 1 : (2 * common) / (a.length + b.length);
}

function meanOf(values: readonly Value[]): number {
  return values.reduce<number>((sum, value) => sum + Number(value), 0) / values.length;
}

/** Standard deviation of a sample over the root of its size. */
function meanError(values: readonly Value[]): number {
  const mean = meanOf(values);
  const squares = values.reduce<number>((sum, value) => sum + (Number(value) - mean) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1) / values.length);
}

/** Standard deviation of bootstrap samples. */
function bootstrapError(values: readonly Value[], metric: (values: readonly Value[]) => number): number {
  const { error } = bootstrap(values.length, (places) => metric(Array.from(places, (i) => values[i] ?? 0)));
  return values.length < 2 ? Number.NaN : error;
}
