import { counted } from "../core/counted.ts";
import { mean } from "../core/mean.ts";
import type { TaskDescription } from "../models/task-model.ts";
import type { Estimate } from "./task-metrics.ts";
import {
  accuracy,
  bootstrap,
  classMetrics,
  confusionMatrix,
  fewExamples,
  indexOfLargest,
  macroF1,
  matthews,
  pearson,
  scoreMetrics,
  spearman,
  wilsonInterval,
} from "./task-metrics.ts";

/** What a model said of some examples, and what they are. */
export interface TaskAnswers {
  readonly description: Pick<TaskDescription, "task" | "labels">;
  /** Logits of classes or answers, or one score, of each example. */
  readonly outputs: readonly Float32Array[];
  readonly targets: readonly number[];
}

/** How good a model is at a task. */
export interface TaskReport {
  readonly examples: number;
  readonly metrics: Readonly<Record<string, Estimate>>;
  /** Share of the commonest class: what saying always that would give; null for scores. */
  readonly majority: number | null;
  /** Share that the words alone give away, without their order; null for scores and where there is nothing to learn from. */
  readonly bagOfWords: number | null;
  /** `[actual][predicted]`; null unless there are classes. */
  readonly confusion: readonly (readonly number[])[] | null;
  readonly labels: readonly string[];
}

/** The metrics of a task without intervals, quick enough for every evaluation in training. */
export function quickMetrics(answers: TaskAnswers): Record<string, number> {
  const results = resultsOf(answers);
  const loss = { loss: meanLoss(answers) };
  if (isScore(answers)) return { ...loss, pearson: pearson(results), spearman: spearman(results) };
  const confusion = confusionMatrix(results);
  if (answers.description.task === "multiple-choice") return { ...loss, accuracy: accuracy(confusion) };
  return {
    ...loss,
    accuracy: accuracy(confusion),
    f1: macroF1(confusion),
    matthews_correlation: matthews(confusion),
  };
}

/** The metric by which the best model of a run is chosen: the higher the better. */
export function mainMetric(task: string, hasClasses: boolean): "accuracy" | "pearson" {
  return hasClasses || task === "multiple-choice" ? "accuracy" : "pearson";
}

/** The metrics of a task with bootstrap intervals, and which classes are taken for which. */
export function taskReport(answers: TaskAnswers): TaskReport {
  const results = resultsOf(answers);
  const { labels, task } = answers.description;
  const common = { examples: answers.targets.length, labels, bagOfWords: null };
  if (isScore(answers)) return { ...common, metrics: scoreMetrics(results), majority: null, confusion: null };
  const confusion = confusionMatrix(results);
  const counts = confusion.map((row) => row.reduce((a, b) => a + b, 0));
  const majority = Math.max(...counts) / answers.targets.length;
  if (task !== "multiple-choice") return { ...common, metrics: classMetrics(results), majority, confusion };
  const right = bootstrap(answers.targets.length, (places) => share(Array.from(places), results));
  return { ...common, metrics: { accuracy: right }, majority, confusion: null };
}

/** A {@link TaskReport} as lines to read. */
export function reportLines({ examples, metrics, majority, bagOfWords, confusion, labels }: TaskReport): string[] {
  const lines = Object.entries(metrics).map(
    ([name, { value, low, high }]) =>
      `${name.replaceAll("_", " ").padEnd(22)} ${value.toFixed(4)}  (95 % of bootstrap samples: ${low.toFixed(4)} … ${high.toFixed(4)})`,
  );
  return [
    `held out               ${counted(examples, "example")}`,
    ...lines,
    ...fewLines(examples, metrics),
    ...(majority === null ? [] : [`commonest class        ${majority.toFixed(4)} of the examples`]),
    ...(bagOfWords === null
      ? []
      : [`bag of words           ${bagOfWords.toFixed(4)} by a linear model of which words there are`]),
    ...(confusion ? confusionLines(confusion, labels) : []),
  ];
}

/** What so few examples can say, where they are few. */
function fewLines(examples: number, { accuracy }: TaskReport["metrics"]): string[] {
  if (examples >= fewExamples) return [];
  if (accuracy === undefined)
    return [`few examples           ${examples} say little about a correlation: hold out more`];
  const [low, high] = wilsonInterval(accuracy.value, examples);
  const range = `${low.toFixed(2)} … ${high.toFixed(2)}`;
  return [`few examples           with ${examples}, the accuracy may be ${range} in truth (95 %): hold out more`];
}

/** Rows are what examples are, columns what they were taken for. */
export function confusionLines(confusion: readonly (readonly number[])[], labels: readonly string[]): string[] {
  const short = labels.map((label) => (label.length > 12 ? `${label.slice(0, 11)}…` : label));
  const width = Math.max(6, ...short.map(({ length }) => length)) + 1;
  const cells = (values: readonly (string | number)[]): string => values.map((v) => String(v).padStart(width)).join("");
  return [
    `${"is ↓  taken for →".padEnd(18)}${cells(short)}`,
    ...confusion.map((row, i) => `${(short[i] ?? "").padEnd(18)}${cells(row)}`),
  ];
}

function isScore({ description: { task, labels } }: TaskAnswers): boolean {
  return labels.length === 0 && task !== "multiple-choice";
}

function resultsOf(answers: TaskAnswers): { actual: readonly number[]; predicted: number[]; classes: number } {
  const { outputs, targets, description } = answers;
  const predicted = outputs.map((row) => (isScore(answers) ? (row[0] ?? Number.NaN) : indexOfLargest(row)));
  const most = outputs.reduce((n, row) => Math.max(n, row.length), 1);
  return { actual: targets, predicted, classes: description.labels.length || most };
}

function share(places: readonly number[], { actual, predicted }: ReturnType<typeof resultsOf>): number {
  return places.filter((i) => actual[i] === predicted[i]).length / places.length;
}

/** Mean cross-entropy in nats, or mean squared error of scores. */
function meanLoss(answers: TaskAnswers): number {
  const { outputs, targets } = answers;
  const losses = outputs.map((row, i) => {
    const target = targets[i] ?? 0;
    if (isScore(answers)) return ((row[0] ?? 0) - target) ** 2;
    return -Math.log(Math.max(softmax(row)[target] ?? 0, Number.MIN_VALUE));
  });
  return mean(losses);
}

/** Logits → probabilities. */
export function softmax(logits: Float32Array): number[] {
  const most = Math.max(...logits);
  const powers = Array.from(logits, (z) => Math.exp(z - most));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / total);
}
