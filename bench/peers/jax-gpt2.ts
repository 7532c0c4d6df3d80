import type { Jax, JaxArray } from "./jax-module.ts";

/** Sizes of a training step. */
export interface TrainingShape {
  readonly layers: number;
  readonly heads: number;
  readonly width: number;
  readonly context: number;
  readonly batch: number;
  readonly vocabulary: number;
}

type Block = Record<"gain1" | "bias1" | "qkv" | "qkvBias" | "out" | "outBias", JaxArray> &
  Record<"gain2" | "bias2" | "up" | "upBias" | "down" | "downBias", JaxArray>;

type Weights = { wte: JaxArray; wpe: JaxArray; blocks: Block[]; gain: JaxArray; bias: JaxArray };

const learningRate = 1e-3;
const beta1 = 0.9;
const beta2 = 0.95;
const weightDecay = 0.1;

/** A GPT-2 in training on one random batch, as jax-js's users would write it. */
export class JaxTraining {
  /** Numbers in the model. */
  readonly parameterCount: number;
  readonly #jax: Jax;
  readonly #shape: TrainingShape;
  readonly #compiled: (...state: [Weights, Weights, Weights, ...JaxArray[]]) => [JaxArray, Weights, Weights, Weights];
  readonly #inputs: JaxArray;
  readonly #targets: JaxArray;
  readonly #causal: JaxArray;
  #weights: Weights;
  #first: Weights;
  #second: Weights;
  #steps = 0;

  constructor(jax: Jax, shape: TrainingShape) {
    this.#jax = jax;
    this.#shape = shape;
    this.#weights = initialWeights(jax, shape);
    const zeros = (): Weights => jax.tree.map((x) => jax.numpy.zeros(x.shape), this.#weights);
    this.#first = zeros();
    this.#second = zeros();
    this.parameterCount = jax.tree.leaves(this.#weights).reduce((sum, x) => sum + count(x.shape), 0);

    const { batch, context, vocabulary } = shape;
    const ids = Array.from({ length: batch * context + 1 }, () => Math.floor(Math.random() * vocabulary));
    this.#inputs = oneHot(jax, ids.slice(0, -1), vocabulary);
    this.#targets = oneHot(jax, ids.slice(1), vocabulary);
    const hidden = Float32Array.from({ length: context ** 2 }, (_, i) => (i % context <= i / context ? 0 : -1e9));
    this.#causal = jax.numpy.array(hidden).reshape([context, context]);
    this.#compiled = jax.jit((...state) => this.#update(...state));
  }

  /** Trains one step and waits for it; its loss in nats. */
  async step(): Promise<number> {
    this.#steps += 1;
    const { numpy } = this.#jax;
    const corrections = [numpy.array(1 - beta1 ** this.#steps), numpy.array(1 - beta2 ** this.#steps)];
    const [loss, weights, first, second] = this.#compiled(
      this.#weights,
      this.#first,
      this.#second,
      this.#inputs.ref,
      this.#targets.ref,
      ...corrections,
    );
    [this.#weights, this.#first, this.#second] = [weights, first, second];
    await this.#jax.blockUntilReady(weights);
    return (await loss.jsAsync()) as number;
  }

  /** Loss, new weights and new moments: the whole step as one function of arrays. */
  #update(
    weights: Weights,
    first: Weights,
    second: Weights,
    ...[inputs, targets, correction1, correction2]: JaxArray[]
  ): [JaxArray, Weights, Weights, Weights] {
    const { numpy, tree, valueAndGrad } = this.#jax;
    if (!inputs || !targets || !correction1 || !correction2) throw new Error("internal: an operand is missing");
    const [loss, gradient] = valueAndGrad((w: Weights) => this.#loss(w, inputs, targets))(tree.ref(weights));
    const [parameters, definition] = tree.flatten(weights);
    const [gradients, moments1, moments2] = [gradient, first, second].map((part) => tree.leaves(part));
    if (!gradients || !moments1 || !moments2) throw new Error("internal: a tree is missing");

    const squares = gradients.map((g) => g.ref.mul(g.ref).sum()).reduce((a, b) => a.add(b));
    const scale = numpy.minimum(1, numpy.reciprocal(numpy.sqrt(squares).add(1e-6)));
    const updated = parameters.map((parameter, i) => {
      const g = gradients[i]?.mul(scale.ref);
      const old1 = moments1[i];
      const old2 = moments2[i];
      if (!g || !old1 || !old2) throw new Error("internal: trees of different sizes");
      const m = old1.mul(beta1).add(g.ref.mul(1 - beta1));
      const v = old2.mul(beta2).add(g.ref.mul(g).mul(1 - beta2));
      const change = m.ref.div(correction1.ref).div(numpy.sqrt(v.ref.div(correction2.ref)).add(1e-8));
      const kept = parameter.shape.length >= 2 ? 1 - learningRate * weightDecay : 1;
      return [parameter.mul(kept).sub(change.mul(learningRate)), m, v];
    });
    for (const x of [scale, correction1, correction2]) x.dispose();
    const rebuilt = (which: number): Weights =>
      tree.unflatten(
        definition,
        updated.map((leaf) => leaf[which] as JaxArray),
      );
    return [loss, rebuilt(0), rebuilt(1), rebuilt(2)];
  }

  /** Mean cross-entropy of the next token, in nats. Embeddings are products with one-hot rows: faster here than gathers. */
  #loss(weights: Weights, inputs: JaxArray, targets: JaxArray): JaxArray {
    const { numpy, nn } = this.#jax;
    const { batch, context, width } = this.#shape;
    const positions = batch * context;
    let x = numpy.matmul(inputs, weights.wte.ref).reshape([batch, context, width]).add(weights.wpe);
    x = x.reshape([positions, width]);
    for (const block of weights.blocks) x = this.#block(x, block);
    const logits = numpy.matmul(this.#norm(x, weights.gain, weights.bias), weights.wte.transpose());
    return nn
      .logSoftmax(logits)
      .mul(targets)
      .sum()
      .mul(-1 / positions);
  }

  #block(x: JaxArray, block: Block): JaxArray {
    const { numpy, nn } = this.#jax;
    const attended = this.#attention(
      this.#linear(this.#norm(x.ref, block.gain1, block.bias1), block.qkv, block.qkvBias),
    );
    const middle = x.add(numpy.matmul(attended, block.out).add(block.outBias));
    const up = this.#linear(this.#norm(middle.ref, block.gain2, block.bias2), block.up, block.upBias);
    return middle.add(this.#linear(nn.gelu(up, { approximate: true }), block.down, block.downBias));
  }

  /** qkv `[batch · context, 3 · width]` → `[batch · context, width]`. */
  #attention(qkv: JaxArray): JaxArray {
    const { numpy, nn } = this.#jax;
    const { batch, context, width, heads } = this.#shape;
    const parts = numpy.split(qkv.reshape([batch, context, 3 * width]), 3, -1);
    const [q, k, v] = parts.map((x) => x.reshape([batch, context, heads, width / heads]).transpose([0, 2, 1, 3]));
    if (!q || !k || !v) throw new Error("internal: split gave fewer than three parts");
    const scores = numpy.matmul(q, k.transpose([0, 1, 3, 2])).mul(1 / Math.sqrt(width / heads));
    const mixed = numpy.matmul(nn.softmax(scores.add(this.#causal.ref), -1), v);
    return mixed.transpose([0, 2, 1, 3]).reshape([batch * context, width]);
  }

  #norm(x: JaxArray, gain: JaxArray, bias: JaxArray): JaxArray {
    return this.#jax.nn.standardize(x, -1, { epsilon: 1e-5 }).mul(gain).add(bias);
  }

  #linear(x: JaxArray, weight: JaxArray, bias: JaxArray): JaxArray {
    return this.#jax.numpy.matmul(x, weight).add(bias);
  }
}

/** Normal weights of standard deviation 0.02, biases 0, gains 1. */
function initialWeights(jax: Jax, { layers, width, context, vocabulary }: TrainingShape): Weights {
  const { numpy } = jax;
  const normal = (...shape: number[]): JaxArray =>
    numpy.array(Float32Array.from({ length: count(shape) }, () => 0.02 * gaussian())).reshape(shape);
  const zeros = (size: number): JaxArray => numpy.zeros([size]);
  const ones = (): JaxArray => numpy.ones([width]);
  const block = (): Block => ({
    ...{ gain1: ones(), bias1: zeros(width), qkv: normal(width, 3 * width), qkvBias: zeros(3 * width) },
    ...{ out: normal(width, width), outBias: zeros(width), gain2: ones(), bias2: zeros(width) },
    ...{
      up: normal(width, 4 * width),
      upBias: zeros(4 * width),
      down: normal(4 * width, width),
      downBias: zeros(width),
    },
  });
  const blocks = Array.from({ length: layers }, block);
  return { wte: normal(vocabulary, width), wpe: normal(context, width), blocks, gain: ones(), bias: zeros(width) };
}

function gaussian(): number {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}

function oneHot({ numpy }: Jax, ids: readonly number[], classes: number): JaxArray {
  const values = new Float32Array(ids.length * classes);
  for (const [row, id] of ids.entries()) values[row * classes + id] = 1;
  return numpy.array(values).reshape([ids.length, classes]);
}

function count(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}
