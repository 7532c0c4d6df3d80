import { describe, expect, test } from "vitest";
import type { Backend } from "../../src/backend/kernels.ts";
import { Random } from "../../src/core/random.ts";
import type { TaskKind } from "../../src/data/task-examples.ts";
import { defaultColumns } from "../../src/data/task-examples.ts";
import type { EncodedExample } from "../../src/data/task-inputs.ts";
import { taskBatch } from "../../src/data/task-inputs.ts";
import { bertClassifier } from "../../src/models/bert-families.ts";
import { EncoderTaskModel } from "../../src/models/encoder-task-model.ts";
import { families } from "../../src/models/index.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";
import type { TaskDescription, TaskModel } from "../../src/models/task-model.ts";
import { DecoderTaskModel } from "../../src/models/task-model.ts";
import { Initializer, parameters } from "../../src/nn/parameters.ts";
import { tensorScope } from "../../src/tensor/scope.ts";
import { readTask, taskObjective } from "../../src/train/task-objective.ts";
import { expectClose } from "../closeness.ts";
import { backends } from "../parity/backends.ts";

const shape = { vocabularySize: 50, context: 24, width: 32, layers: 2, heads: 2, dropout: 0 };

/** A model whose states differ from each other as those of a trained one. */
function create(body: keyof typeof families | "bert", task: TaskKind, backend: Backend): TaskModel {
  const labels = task === "multiple-choice" ? [] : ["no", "yes"];
  const tokens = { start: "", delimiter: "", extract: "" };
  const description: TaskDescription = { task, labels, columns: defaultColumns[task], tokens };
  const init = new Initializer(backend, new Random(1));
  const large = { initializerRange: 0.3 };
  if (body !== "bert") {
    const family = families[body];
    const settings = { ...family.shaped(shape), ...large } as never;
    return new DecoderTaskModel(description, family.create(settings, init) as LanguageModel, new Random(2));
  }
  const head = task === "multiple-choice" ? "multiple-choice" : "sequence-classification";
  const settings = { ...bertClassifier.shaped(shape), ...large, task: head, labels } as const;
  return new EncoderTaskModel(description, bertClassifier.create(settings, init), 0);
}

/** Examples of unequal lengths; the second half of an input is its second segment. */
function examples(inputs: number, count: number): EncodedExample[] {
  const reader = new Random(3).reader();
  const input = (): EncodedExample["inputs"][number] => {
    const length = 3 + reader.integer(shape.context - 3);
    const ids = Int32Array.from({ length }, () => 1 + reader.integer(shape.vocabularySize - 1));
    return { ids, typeIds: ids.map((_, i) => Number(2 * i >= length)) };
  };
  return Array.from({ length: count }, (_, i) => ({
    where: "",
    inputs: Array.from({ length: inputs }, input),
    target: i % 2,
  }));
}

const tasks = [
  ["classification", 1],
  ["similarity", 2],
  ["multiple-choice", 3],
] as const;

describe.each(backends)("on %s", (_, backend) => {
  test.each(Object.keys(families) as (keyof typeof families)[])(
    "a frozen %s teaches its extract token what a whole one does",
    async (body) => {
      const extract = shape.vocabularySize - 1;
      const all = examples(2, 4).map(({ inputs, ...example }) => {
        const marked = inputs.map(({ ids, typeIds }) => ({ ids: ids.map((id) => id % extract), typeIds }));
        for (const { ids } of marked) ids[ids.length - 1] = extract;
        return { ...example, inputs: marked };
      });
      const [whole, frozen] = [create(body, "similarity", backend), create(body, "similarity", backend)];
      frozen.freezeBody(extract);
      const losses = [whole, frozen].map((model) =>
        tensorScope(() => {
          const { loss } = taskObjective(model, taskBatch(all), null, 0);
          loss.backward();
          return loss.detach();
        }),
      );
      const [ofWhole, ofFrozen] = [await losses[0]!.item(), await losses[1]!.item()];
      expect(ofFrozen).toBeCloseTo(ofWhole, 5);
      const trained = frozen.trainable(false);
      expect([...trained.keys()]).toEqual(["score", "extractEmbedding"]);
      const { width } = shape;
      const table = await (whole.body as LanguageModel).tokenEmbedding.grad!.read();
      const row = await trained.get("extractEmbedding")!.grad!.read();
      expect(Math.max(...row.map(Math.abs))).toBeGreaterThan(1e-3);
      expectClose(row, table.slice(extract * width, (extract + 1) * width), { absolute: 1e-5, relative: 1e-3 });
      const given = [...parameters(frozen.body).values()].filter(({ grad }) => grad !== null);
      expect(given).toEqual([]);
    },
  );

  describe.each(["gpt2", "llama", "bert"] as const)("%s", (body) => {
    test.each(tasks)("answers %s alike alone and among others", async (task, inputs) => {
      const model = create(body, task, backend);
      const all = examples(inputs, 5);
      const together = await readTask(model, all, 5);
      const alone = await readTask(model, all, 1);
      for (const [i, row] of together.entries()) expectClose(row, alone[i] ?? [], { absolute: 1e-5, relative: 1e-4 });
      expect(new Set(together.map(([first]) => first)).size).toBe(5);
    });

    test("a pair and its swap get the same scores to the last bit, whatever is beside them", async () => {
      const model = create(body, "similarity", backend);
      const all = examples(2, 4);
      const swapped = all.map(({ inputs, ...example }) => ({ ...example, inputs: inputs.toReversed() }));
      expect(await readTask(model, swapped, 4)).toEqual(await readTask(model, all, 4));
    });

    test("questions of different numbers of answers are chosen among their own", async () => {
      const model = create(body, "multiple-choice", backend);
      const all = [...examples(3, 1), ...examples(2, 1)];
      const [three, two] = await readTask(model, all, 2);
      expect([three?.length, two?.length]).toEqual([3, 2]);
      const one = taskObjective(model, taskBatch(all.slice(1)), null, 0).loss;
      const [a = 0, b = 0] = two ?? [];
      expectClose(await one.read(), [Math.log(1 + Math.exp(b - a))], { absolute: 1e-5, relative: 1e-4 });
    });
  });
});
