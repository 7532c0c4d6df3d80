import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { resultsObject, sampleObjects } from "../../src/eval/eval-results.ts";
import { runTask } from "../../src/eval/run-task.ts";
import type { Scorer } from "../../src/eval/scorer.ts";
import { chatAsking } from "../../src/eval/task-chat.ts";
import { openTask } from "../../src/eval/task-file.ts";
import type { PromptOptions } from "../../src/eval/task-prompts.ts";
import { taskPrompts } from "../../src/eval/task-prompts.ts";
import { trainByteLevelBpe } from "../../src/text/bpe-trainer.ts";
import { ChatTemplate } from "../../src/text/chat-template.ts";
import { ChatEncoder } from "../../src/text/encode-chat.ts";
import { pythonJson } from "../../src/text/jinja/python-text.ts";

/** A line of a samples file of the harness, but for its row. */
interface Sample extends Readonly<Record<string, unknown>> {
  readonly doc_id: number;
  readonly arguments: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly resps: readonly (readonly unknown[])[];
  readonly filter: string;
}

/** What `record/harness.py` recorded of one task. */
interface Recorded {
  readonly samples: readonly Sample[];
  readonly results: Readonly<Record<string, number | string>>;
  readonly higher_is_better: object;
  readonly "n-samples": object;
  readonly "n-shot": number;
  readonly task_hashes: string;
}

const folder = join(import.meta.dirname, "fixtures/harness");
const record = {
  ...{ modelArguments: "", limit: 0, questions: new Map<string, number>(), bootstrapIterations: 2000, seed: 1234 },
  ...{ batchTokens: 1, device: "cpu", seconds: 1, date: new Date(0) },
};

/** Answers as they were recorded; a request that was not recorded has none, and fails. */
class Replay implements Scorer {
  readonly name = "recorded";
  readonly maxLength = null;
  readonly parameterCount = null;
  readonly cutRequests = 0;
  readonly unscoredStarts = 0;
  readonly #answers = new Map<string, unknown>();
  readonly #texts: string[];

  constructor(samples: readonly Sample[]) {
    const [first] = samples;
    const own = samples.filter(({ filter }) => filter === first?.filter);
    this.#texts = own.flatMap(({ resps }) => resps.flat()) as string[];
    for (const sample of own) {
      for (const [i, given] of Object.values(sample.arguments).entries()) {
        this.#answers.set(JSON.stringify(Object.values(given)), sample.resps[i]?.[0]);
      }
    }
  }

  #answerTo(...request: readonly string[]): unknown {
    const answer = this.#answers.get(JSON.stringify(request));
    if (answer === undefined) throw new Error(`the harness does not ask ${JSON.stringify(request)}`);
    return answer;
  }

  async likelihoods(requests: Parameters<Scorer["likelihoods"]>[0]): ReturnType<Scorer["likelihoods"]> {
    return requests.map(({ context, continuations }) =>
      continuations.map((text) => {
        const [logProb, isGreedy] = this.#answerTo(context, text) as [string, string];
        return { logProb: Number(logProb), isGreedy: isGreedy === "True" };
      }),
    );
  }

  async textLikelihoods(texts: readonly string[]): Promise<number[]> {
    return texts.map((text) => Number(this.#answerTo(text)));
  }

  async continuations(): Promise<string[]> {
    return this.#texts;
  }
}

/** Without its row, and with its metrics in an order of its own: the harness names them in one, we in that of the task. */
function comparable({ doc: _, metrics, ...sample }: Readonly<Record<string, unknown>>): object {
  return { ...sample, metrics: new Set(metrics as string[]) };
}

/** Asks a task as the harness was asked, and compares all that it wrote. */
async function compare(
  name: string,
  theirs: Recorded,
  given: Pick<PromptOptions, "shots" | "chat" | "systemInstruction">,
) {
  const { shots } = given;
  const task = await openTask(join(folder, `${name}.yaml`));
  const prompts = await taskPrompts(task, { limit: 0, seed: 1234, dataFolder: folder, ...given });
  const scorer = new Replay(theirs.samples);
  const done = await runTask(task, shots, prompts, scorer, () => {}, 2000);
  const ours = sampleObjects(done).map((sample) => JSON.parse(pythonJson(sample)) as Record<string, unknown>);
  expect(ours.map(comparable)).toEqual(theirs.samples.map(comparable));

  const results = resultsObject([done], scorer, record) as Record<string, Record<string, unknown>>;
  for (const [key, value] of Object.entries(theirs.results)) {
    const own = (results.results as Record<string, Record<string, unknown>>)[name]?.[key];
    if (typeof value === "number") expect(own, key).toBeCloseTo(value, 9);
    else expect(own, key).toEqual(value);
  }
  for (const key of ["higher_is_better", "n-samples", "n-shot", "task_hashes"] as const) {
    expect(results[key]?.[name], key).toEqual(theirs[key]);
  }
}

describe.each([0, 2, 7])("as EleutherAI's harness, with %d examples before each question", (shots) => {
  const recorded = JSON.parse(readFileSync(join(folder, `recorded-${shots}.json`), "utf8")) as Record<string, Recorded>;
  test.each(Object.entries(recorded))("%s", (name, theirs) => compare(name, theirs, { shots }));
});

describe.each(["turns", "one"])("as the harness with a chat template, examples as %s", (kind) => {
  const { template, system, tasks } = JSON.parse(readFileSync(join(folder, `recorded-chat-${kind}.json`), "utf8"));
  const tokenizer = trainByteLevelBpe(["a"], { vocabularySize: 257 }).withSpecialTokens(["<s>"], { bos: "<s>" });
  const encoder = new ChatEncoder(tokenizer, new ChatTemplate(template));
  const chat = chatAsking("a model", encoder, kind === "turns", () => {});
  test.each(Object.entries(tasks as Record<string, Recorded>))("%s", (name, theirs) =>
    compare(name, theirs, { shots: 2, chat, systemInstruction: system }),
  );
});
