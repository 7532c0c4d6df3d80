import { expect, test } from "vitest";
import { orpoLoss } from "../../src/train/objectives/orpo.ts";
import { simpoLoss } from "../../src/train/objectives/simpo.ts";
import type { LossCase } from "./loss-fixture.ts";
import { lossCases } from "./loss-fixture.ts";

const fixture = "reference-free-losses";
const policyOf = async (one: LossCase) => ({
  chosen: await one.leaf("policy_chosen"),
  rejected: await one.leaf("policy_rejected"),
});

test("the odds ratio loss and its gradients are PyTorch's", async () => {
  const [one] = await lossCases(fixture, "orpo");
  if (!one) throw new Error("no case of orpo is recorded");
  const nll = await one.leaf("nll");
  const result = orpoLoss(await policyOf(one), nll.mean(), { beta: one.setting("beta") });
  await one.expectOutput("log_odds_ratio", result.logOddsRatio);
  await one.expectOutput("log_odds", result.logOdds);
  result.loss.backward();
  await one.expectOutput("loss", result.loss);
  await one.expectGradients();
});

test("the length-normalised loss with a margin and its gradients are PyTorch's", async () => {
  const [one] = await lossCases(fixture, "simpo");
  if (!one) throw new Error("no case of simpo is recorded");
  const loss = simpoLoss(await policyOf(one), { beta: one.setting("beta"), gamma: one.setting("gamma") });
  loss.backward();
  await one.expectOutput("loss", loss);
  await one.expectGradients();
});

test("all cases were found", async () => {
  const found = await Promise.all(["orpo", "simpo"].map((name) => lossCases(fixture, name)));
  expect(found.map(({ length }) => length)).toEqual([1, 1]);
});
