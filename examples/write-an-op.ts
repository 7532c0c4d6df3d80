/** Adds an operation with its gradient and checks it against finite differences. Run: npx tsx examples/write-an-op.ts */
import type { Op } from "../src/index.ts";
import { apply, defineOp, functionGradientGap, openReference, Tensor } from "../src/index.ts";

/**
 * Softplus, log(1 + eˣ), as max(x, 0) + log(1 + e^−|x|). Gradient: dy · sigmoid(x).
 *
 * An op says which shape comes out, how kernels compute it, and how a gradient flows back.
 */
const softplus: Op<[x: Tensor], undefined> = defineOp({
  name: "softplus",
  infer: ([x]) => x.shape,
  run(kernels, [x], out) {
    // log(1 + eˣ) = −log sigmoid(−x), and kernels for that exist.
    kernels.affine(x, -1, 0, out);
    kernels.unary("logSigmoid", out, out);
    kernels.affine(out, -1, 0, out);
  },
  grad: (dy, { inputs: [x] }) => [() => dy.mul(x.map("sigmoid"))],
});

const backend = openReference({ precision: "float64" }); // where differences are exact enough to check a gradient
const x = Tensor.from(backend, [-30, -1, 0, 1, 30], [5]);
x.requiresGrad = true;
const y = apply(softplus, [x], undefined);
console.log("softplus", [...(await y.read())].map((value) => value.toFixed(4)).join(" "));

const gap = await functionGradientGap(() => apply(softplus, [x], undefined), [x]);
console.log(`gradient is ${gap < 1e-6 ? "right" : "wrong"}: off by ${gap.toExponential(0)}`);
