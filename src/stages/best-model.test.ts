import { expect, test } from "vitest";
import { BestModel } from "./best-model.ts";

const record = (step: number, eval_accuracy: number) => ({ step, eval_accuracy });
const history = [record(1, 0.5), record(2, 0.8), record(3, 0.7), record(4, 0.8)];

test("a run that had enough is not trained on when it is resumed", () => {
  const metric = { name: "eval_accuracy", isHigherBetter: true };
  expect(new BestModel(metric, 2, history).enough.aborted).toBe(true);
  expect(new BestModel(metric, 3, history).enough.aborted).toBe(false);
  expect(new BestModel(metric, 2, history.slice(0, 3)).enough.aborted).toBe(false);
});

test("of losses the lowest is the best", async () => {
  const best = new BestModel({ name: "eval_loss", isHigherBetter: false }, 2, []);
  const kept: number[] = [];
  for (const eval_loss of [3, 2, 2.5, 1, 1.5, 1]) {
    await best.offer({ eval_loss }, async () => void kept.push(eval_loss));
  }
  expect(kept).toEqual([3, 2, 1]);
  expect(best.enough.aborted).toBe(true);
});
