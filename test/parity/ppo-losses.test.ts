import { expect, test } from "vitest";
import { Tensor } from "../../src/tensor/tensor.ts";
import { generalizedAdvantages, whiten } from "../../src/train/objectives/advantages.ts";
import { klEstimate } from "../../src/train/objectives/kl.ts";
import { policyLoss, valueLoss } from "../../src/train/objectives/ppo.ts";
import { tokenLogProbs } from "../../src/train/objectives/token-log-probs.ts";
import { exact } from "../exact.ts";
import { lossCases } from "./loss-fixture.ts";

/** Numbers of all tokens, cut where each sequence ends. */
function cut(values: Float32Array, lengths: readonly number[]): Float32Array[] {
  let start = 0;
  return lengths.map((length) => {
    start += length;
    return values.subarray(start - length, start);
  });
}

const joined = (parts: readonly Float32Array[]): number[] => parts.flatMap((part) => [...part]);

/** Lengths of the sequences in the fixture's mask. */
const lengths = [9, 4, 7, 1, 6];

for (const one of await lossCases("ppo-losses", "ppo_policy")) {
  test(one.name, async () => {
    const logProbs = await one.leaf("log_probs");
    const terms = {
      logProbs,
      oldLogProbs: await one.constant("old_log_probs"),
      advantages: await one.constant("advantages"),
    };
    const { loss, clipFraction, approximateKl, meanRatio } = policyLoss(terms, one.setting("clip"));
    await one.expectOutput("clip_fraction", clipFraction);
    await one.expectOutput("approximate_kl", approximateKl);
    await one.expectOutput("mean_ratio", meanRatio);
    loss.backward();
    await one.expectOutput("loss", loss);
    await one.expectGradients();
  });
}

for (const one of await lossCases("ppo-losses", "ppo_value")) {
  test(one.name, async () => {
    const values = await one.leaf("values");
    const terms = { values, oldValues: await one.constant("old_values"), returns: await one.constant("returns") };
    const { loss, clipFraction } = valueLoss(terms, one.setting("clip"));
    await one.expectOutput("clip_fraction", clipFraction);
    loss.backward();
    await one.expectOutput("loss", loss);
    await one.expectGradients();
  });
}

for (const one of await lossCases("ppo-losses", "generalized_advantages")) {
  test(one.name, async () => {
    const rewards = cut(await one.values("input.rewards"), lengths);
    const values = cut(await one.values("input.values"), lengths);
    const settings = { gamma: one.setting<number>("gamma"), lambda: one.setting<number>("lam") };
    const each = rewards.map((own, i) => generalizedAdvantages(own, values[i]!, settings));
    await one.expectOutput("advantages", joined(each.map(({ advantages }) => advantages)));
    await one.expectOutput("returns", joined(each.map(({ returns }) => returns)));
  });
}

for (const one of await lossCases("ppo-losses", "whiten")) {
  test(one.name, async () => {
    const whitened = whiten(cut(await one.values("input.x"), lengths));
    await one.expectOutput("whitened", joined(whitened));
  });
}

for (const one of await lossCases("ppo-losses", "kl_estimate")) {
  test(one.name, async () => {
    const logProbs = await one.leaf("log_probs");
    const perToken = klEstimate(logProbs, await one.constant("reference_log_probs"), one.setting("estimator"));
    await one.expectOutput("per_token", perToken.detach());
    const loss = perToken.mean();
    loss.backward();
    await one.expectOutput("loss", loss);
    await one.expectGradients();
  });
}

for (const one of await lossCases("ppo-losses", "token_log_probs")) {
  test(one.name, async () => {
    const logits = await one.leaf("logits");
    const ids = Tensor.from(exact, await one.integers("input.ids"), [45]);
    const { logProbs, entropy } = tokenLogProbs(logits.reshape([45, 7]), ids, one.setting("temperature"));
    await one.expectOutput("log_probs", logProbs.detach());
    await one.expectOutput("entropy", entropy.detach());
    const loss = logProbs.add(entropy).mean();
    loss.backward();
    await one.expectOutput("loss", loss);
    await one.expectGradients();
  });
}

test("all cases were found", async () => {
  const names = ["ppo_policy", "ppo_value", "generalized_advantages", "whiten", "kl_estimate", "token_log_probs"];
  const found = await Promise.all(names.map((name) => lossCases("ppo-losses", name)));
  expect(found.map(({ length }) => length)).toEqual([3, 2, 2, 1, 3, 2]);
});
