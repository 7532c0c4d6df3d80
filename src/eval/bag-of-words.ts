import { Random } from "../core/random.ts";
import type { TaskExample, TaskKind } from "../data/task-examples.ts";
import { indexOfLargest } from "./task-metrics.ts";

/** An example of which the answer is known. */
export interface AnsweredExample extends Pick<TaskExample, "inputs"> {
  /** Class by number, or index of the right answer. */
  readonly target: number;
}

/** One weight of the linear model, with the sum of the squares of its gradients. */
interface Weight {
  value: number;
  squares: number;
}

/** Of each class or answer, the weights that count for it: its score is their sum. */
type Candidates = readonly (readonly Weight[])[];

const passes = 5;
const rate = 0.3;
/** More rows say nothing new of so simple a model. */
const mostRows = 20_000;

/**
 * What can be had without reading: share of the held-out examples that a linear model gets right which knows only which
 * words a text has (of a pair also which ones both have), not their order. Softmax over classes or answers, trained with
 * AdaGrad. Always the same for the same rows.
 *
 * @see Duchi, Hazan & Singer (2011), "Adaptive subgradient methods for online learning", figure 1.
 */
export function bagOfWordsAccuracy(
  task: TaskKind,
  training: readonly AnsweredExample[],
  heldOut: readonly AnsweredExample[],
  classes: number,
): number {
  const weights = new WordWeights(task, classes);
  const rows = training.slice(0, mostRows).map(({ inputs, target }) => ({ candidates: weights.of(inputs), target }));
  for (let pass = 0; pass < passes; pass++) {
    for (const i of new Random(pass).permutation(rows.length)) {
      const row = rows[i];
      if (row) learn(row.candidates, row.target);
    }
  }
  const isRight = ({ inputs, target }: AnsweredExample): boolean =>
    indexOfLargest(weights.of(inputs).map(scoreOf)) === target;
  return heldOut.filter(isRight).length / heldOut.length;
}

/** One step of AdaGrad on −log p(right). */
function learn(candidates: Candidates, right: number): void {
  const scores = candidates.map(scoreOf);
  const most = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - most));
  const total = powers.reduce((a, b) => a + b, 0);
  for (const [k, weights] of candidates.entries()) {
    const gradient = (powers[k] ?? 0) / total - (k === right ? 1 : 0);
    for (const weight of weights) {
      weight.squares += gradient ** 2;
      weight.value -= (rate * gradient) / Math.sqrt(weight.squares + 1e-12);
    }
  }
}

function scoreOf(weights: readonly Weight[]): number {
  return weights.reduce((sum, { value }) => sum + value, 0);
}

/** Finds what texts have, and a weight for each of it: for each class another. */
class WordWeights {
  readonly #task: TaskKind;
  readonly #byName: readonly Map<string, Weight>[];

  constructor(task: TaskKind, classes: number) {
    this.#task = task;
    this.#byName = Array.from({ length: task === "multiple-choice" ? 1 : classes }, () => new Map());
  }

  of(inputs: TaskExample["inputs"]): Candidates {
    const [answers = new Map<string, Weight>()] = this.#byName;
    if (this.#task === "multiple-choice")
      return inputs.map((texts) => weightsOf(answers, found(texts, [null, "answer"])));
    // Both orders of a similar pair are there; neither text is the first.
    const names = found(inputs[0] ?? [], this.#task === "similarity" ? ["either", "either"] : ["first", "second"]);
    return this.#byName.map((own) => weightsOf(own, names));
  }
}

function weightsOf(byName: Map<string, Weight>, names: readonly string[]): Weight[] {
  return names.map((name) => {
    const weight = byName.get(name) ?? { value: 0, squares: 0 };
    byName.set(name, weight);
    return weight;
  });
}

/** Words of some texts, each text's under its place (null: of use only beside the others), and those that all have. */
function found(texts: readonly string[], places: readonly (string | null)[]): string[] {
  const sets = texts.map((text) => new Set(text.toLowerCase().match(/[\p{L}\p{N}']+/gu)));
  const [first = new Set<string>(), ...others] = sets;
  const shared = others.length > 0 ? [...first].filter((word) => others.every((set) => set.has(word))) : [];
  const own = sets.flatMap((set, i) => (places[i] ? [...set].map((word) => `${places[i]} ${word}`) : []));
  return [...new Set(own), ...shared.map((word) => `both ${word}`), `${shared.length} shared`];
}
