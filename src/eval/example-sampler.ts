import { SettingsError } from "../core/errors.ts";
import { PythonRandom } from "../core/python-random.ts";
import { pythonJson } from "../text/jinja/python-text.ts";
import type { Doc } from "./doc-table.ts";

/** Where examples come from and how they are chosen. */
export interface SamplerOptions {
  readonly task: string;
  readonly pool: readonly Doc[];
  readonly shots: number;
  readonly seed: number;
  /** The first of the pool for every question, or drawn anew for each. */
  readonly sampler: "default" | "first_n";
  /** Whether questions may be rows of the pool, where none may be its own example: one more is drawn then. */
  readonly mayHoldQuestion: boolean;
}

/**
 * Chooses the examples before each question as the evaluation harness does, whose generator is Python's, begun once for a
 * task: the examples of a question follow from the seed and from how many questions came before.
 *
 * One thing differs on purpose: where examples come from the questions' own split and the task does not say so with
 * `fewshot_split` and `test_split`, the harness may show a question with its answer before itself; here it never is.
 */
export class ExampleSampler {
  readonly #options: SamplerOptions;
  readonly #random: PythonRandom;

  /** @throws {SettingsError} when there are fewer examples than shots. */
  constructor(options: SamplerOptions) {
    const { task, pool, shots, mayHoldQuestion } = options;
    const needed = shots + (mayHoldQuestion ? 1 : 0);
    if (shots > 0 && pool.length < needed) {
      const wanted = mayHoldQuestion ? `${shots} and one more are needed` : `${shots} are needed`;
      throw new SettingsError(`shots: task ${task} has ${pool.length} examples, ${wanted}; ask for fewer shots`);
    }
    this.#options = options;
    this.#random = new PythonRandom(options.seed);
  }

  /**
   * The examples of the next question.
   *
   * @throws {SettingsError} when too few rows differ from the question.
   */
  next(question: Doc): readonly Doc[] {
    const { pool, shots, sampler, mayHoldQuestion } = this.#options;
    if (shots === 0) return [];
    const own = mayHoldQuestion ? keyOf(question) : null;
    const others = (docs: readonly Doc[]): readonly Doc[] =>
      own === null ? docs : docs.filter((doc) => keyOf(doc) !== own);
    if (sampler === "first_n") return this.#enough(others(pool)).slice(0, shots);
    const drawn = others(this.#random.sample(pool, own === null ? shots : shots + 1)).slice(0, shots);
    return drawn.length === shots ? drawn : this.#random.sample(this.#enough(others(pool)), shots);
  }

  #enough(pool: readonly Doc[]): readonly Doc[] {
    const { task, shots } = this.#options;
    if (pool.length >= shots) return pool;
    throw new SettingsError(
      `shots: task ${task} has ${pool.length} examples that differ from the question, ${shots} are needed; ask for fewer shots`,
    );
  }
}

const keys = new WeakMap<Doc, string>();

/** The same for rows that hold the same. */
function keyOf(doc: Doc): string {
  const known = keys.get(doc) ?? pythonJson(new Map(Object.entries(doc)), { sortKeys: true });
  keys.set(doc, known);
  return known;
}
