import { expect, test } from "vitest";
import { BestModel } from "./best-model.ts";

const record = (step: number, eval_accuracy: number) => ({ step, eval_accuracy });
const history = [record(1, 0.5), record(2, 0.8), record(3, 0.7), record(4, 0.8)];

test("a run that had enough is not trained on when it is resumed", () => {
  expect(new BestModel("run", "eval_accuracy", 2, history).enough.aborted).toBe(true);
  expect(new BestModel("run", "eval_accuracy", 3, history).enough.aborted).toBe(false);
  expect(new BestModel("run", "eval_accuracy", 2, history.slice(0, 3)).enough.aborted).toBe(false);
});
