import { expect, test } from "vitest";
import { expectClose } from "../../../test/closeness.ts";
import { exact, ids, randomTensor, read } from "../../../test/exact.ts";
import { Random } from "../../core/random.ts";
import { Initializer } from "../../nn/parameters.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { smoothingTerm } from "./label-smoothing.ts";
import { tokenLoss } from "./next-token.ts";

function gradient({ grad }: Tensor): Tensor {
  if (!grad) throw new Error("there is no gradient");
  return grad;
}

const tolerance = { absolute: 1e-6, relative: 1e-6 };

test.each([false, true])(
  "loss and gradients are those of smoothed labels over whole logits; bias %s",
  async (hasBias) => {
    const outputWeight = new Initializer(exact, new Random(3)).normal([7, 4], 1);
    const outputBias = hasBias ? new Initializer(exact, new Random(4)).normal([7], 1) : null;
    const hidden = randomTensor([3, 4], 5);
    hidden.requiresGrad = true;
    const [labels, epsilon] = [[2, 0, 6], 0.2];
    const rows = { hidden, targets: ids(labels, [3]), scale: 1 / 3 };
    const loss = tokenLoss({ outputWeight, outputBias }, rows).add(
      smoothingTerm({ outputWeight, outputBias }, rows, epsilon),
    );

    const other = hidden.detach();
    other.requiresGrad = true;
    const product = other.matmul(outputWeight, { transposeB: true });
    const logProbs = (outputBias ? product.add(outputBias) : product).logSoftmax();
    const share = labels.flatMap((label) =>
      Array.from({ length: 7 }, (_, v) => epsilon / 7 + (v === label ? 1 - epsilon : 0)),
    );
    const expected = logProbs
      .mul(Tensor.from(exact, share, [3, 7]))
      .sum()
      .mul(-1 / 3);
    expect(await loss.item()).toBeCloseTo(await expected.item(), 6);

    loss.backward();
    const weightGradient = await read(gradient(outputWeight));
    outputWeight.grad = null;
    expected.backward();
    const [own, wanted] = [await read(gradient(hidden)), await read(gradient(other))];
    expectClose(own, wanted, tolerance);
    const wantedWeight = await read(gradient(outputWeight));
    expectClose(weightGradient, wantedWeight, tolerance);
  },
);
