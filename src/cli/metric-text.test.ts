import { expect, test } from "vitest";
import { formatResult, progressFacts, resultFacts } from "./metric-text.ts";

test.each([
  [0.78912, "0.7891"],
  [-12.5, "-12.5000"],
  [9999.4999, "9999.4999"],
  [9999.9999, "1.00e+4"],
  [-123_456, "-1.23e+5"],
  [2.42e61, "2.42e+61"],
  [Number.POSITIVE_INFINITY, "Infinity"],
  [Number.NaN, "NaN"],
])("the result %d keeps to its column as %s", (value, text) => {
  expect(formatResult(value)).toBe(text);
  expect(text.length).toBeLessThanOrEqual(9);
});

test.each([
  [
    "pretrain",
    {
      loss: 5.5,
      learning_rate: 1e-3,
      tokens_per_second: 51_073.4,
      peak_share: 0.3,
      eval_loss: 5.25,
      eval_perplexity: 190.6,
    },
    ["loss 5.500", "eval loss 5.250", "51,073 tokens/s", "30% of peak"],
    ["loss 5.500", "eval loss 5.250", "eval perplexity 190.6"],
  ],
  [
    "ppo",
    {
      "objective/scores": 0.8125,
      "objective/kl": 2.5,
      "objective/kl_coef": 0.2,
      episode: 64,
      tokens: 1,
      tokens_per_second: 80,
    },
    ["reward 0.8125", "KL 2.500", "80 tokens/s"],
    ["reward 0.8125", "KL 2.500"],
  ],
  [
    "dpo",
    { loss: 0.75, "rewards/accuracies": 0.625, "rewards/margins": 0.0625, "rewards/chosen": 1 },
    ["loss 0.7500", "accuracy 62.5%", "margin 0.06250"],
    ["loss 0.7500", "accuracy 62.5%", "margin 0.06250"],
  ],
  [
    "reward",
    { loss: 0.5, accuracy: 0.75, margin: 1 },
    ["loss 0.5000", "accuracy 75.0%"],
    ["loss 0.5000", "accuracy 75.0%"],
  ],
  [
    "finetune",
    { loss: 0.5, eval_accuracy: 1 },
    ["loss 0.5000", "eval accuracy 100.0%"],
    ["loss 0.5000", "eval accuracy 100.0%"],
  ],
])("%s shows what tells how it goes", (_, metrics, during, atEnd) => {
  expect(progressFacts(metrics as Record<string, number>)).toEqual(during);
  expect(resultFacts(metrics as Record<string, number>)).toEqual(atEnd);
});
