import type { Storage } from "../backend/storage.ts";
import { ShapeError } from "../core/errors.ts";
import { formatShape } from "../core/shape.ts";
import type { TapeNode } from "./op.ts";
import { asInTraining } from "./op.ts";
import { isKept } from "./scope.ts";
import type { Tensor } from "./tensor.ts";

/** What a tensor without a node has in its place. */
const leaf: Pick<TapeNode, "inputs" | "pulls" | "unread"> = {
  inputs: [],
  pulls: () => [],
  unread: { inputs: true, output: true },
};

/** Tensors whose tape has been taken apart: a later pass that reached one would silently stop there. */
const spent = new WeakSet<Tensor>();

/**
 * Adds ∂root/∂leaf to `grad` of every leaf that requires a gradient, and takes the tape apart as it goes: the memory of
 * each activation is given back as soon as the pass is behind it. Root itself stays readable.
 *
 * Every gradient owns its memory, so it may be summed in place. An op may hand its `dy` on untouched (an addition
 * does): the first input without a gradient becomes its owner, any other gets a copy.
 *
 * @throws {ShapeError} when root has more than one element, or depends on a tensor that an earlier pass went through.
 */
export function backward(root: Tensor): void {
  if (root.size !== 1) throw new ShapeError(`backward: the root must have 1 element, got ${formatShape(root.shape)}`);
  if (!root.requiresGrad) throw new ShapeError("backward: nothing that the root depends on requires a gradient");
  const seed = root.filled(root.shape, 1);
  backwardFrom(root, seed);
}

/** As {@link backward}, for a root of any shape whose own gradient is `dRoot`; takes over the memory of `dRoot`. */
export function backwardFrom(root: Tensor, dRoot: Tensor): void {
  asInTraining(() => new BackwardPass(root).run(dRoot));
}

class BackwardPass {
  readonly #root: Tensor;
  readonly #made: readonly Tensor[];
  /** Storages of root and of what the tape did not make: reshaped views of parameters and data share them. */
  readonly #borrowed: ReadonlySet<Storage>;
  readonly #gradients = new Map<Tensor, Tensor>();

  constructor(root: Tensor) {
    this.#root = root;
    this.#made = tape(root);
    const sources = this.#made.flatMap((tensor) => tensor.node?.inputs ?? []).filter((input) => !input?.node);
    this.#borrowed = new Set([root, ...sources].flatMap((tensor) => (tensor ? [tensor.storage] : [])));
  }

  run(dRoot: Tensor): void {
    this.#receive(this.#root, dRoot);
    for (const tensor of this.#made) {
      const dy = this.#gradients.get(tensor);
      if (dy) this.#visit(tensor, dy);
      this.#drop(tensor);
    }
  }

  /** Pulls the gradient of one tensor back to its inputs. */
  #visit(tensor: Tensor, dy: Tensor): void {
    this.#gradients.delete(tensor);
    const { inputs, pulls, unread } = tensor.node ?? leaf;
    if (!unread.inputs) for (const input of inputs) input?.recall();
    if (!unread.output || tensor.lacksAuxiliary) tensor.recall();
    const handedOn: [Tensor, Tensor][] = [];
    pulls(dy).forEach((pull, i) => {
      const input = inputs[i];
      if (!pull || !input?.requiresGrad) return;
      const gradient = pull(this.#gradientOf(input));
      if (gradient.storage === dy.storage) handedOn.push([input, gradient]);
      else this.#receive(input, gradient);
    });
    let isFree = true;
    for (const [input, gradient] of handedOn) {
      const sum = this.#gradientOf(input);
      if (sum) sum.backend.kernels.accumulate(gradient, sum);
      else this.#put(input, isFree ? gradient : gradient.copy());
      if (!sum) isFree = false;
    }
    if (isFree) dy.release();
  }

  #gradientOf(tensor: Tensor): Tensor | null {
    return (tensor.node ? this.#gradients.get(tensor) : tensor.grad) ?? null;
  }

  /** Makes `gradient` the gradient of a tensor, or adds it to the one it has, unless the pull has done so in place. */
  #receive(tensor: Tensor, gradient: Tensor): void {
    const sum = this.#gradientOf(tensor);
    if (!sum) {
      this.#put(tensor, gradient);
    } else if (sum.storage !== gradient.storage) {
      sum.backend.kernels.accumulate(gradient, sum);
      gradient.release();
    }
  }

  #put(tensor: Tensor, gradient: Tensor): void {
    if (tensor.node) this.#gradients.set(tensor, gradient);
    else tensor.grad = gradient.keep();
  }

  /** Gives back what the tape held for a tensor that the pass has left behind. */
  #drop(tensor: Tensor): void {
    const gradients = new Set((tensor.node?.inputs ?? []).map((input) => input && this.#gradientOf(input)?.storage));
    for (const extra of tensor.node?.auxiliary ?? []) if (!gradients.has(extra.storage)) extra.release();
    if (tensor.node) spent.add(tensor);
    // A view was made after what it is a view of, which gives their memory back.
    const isView = tensor.node?.isView ?? false;
    tensor.node = null;
    if (!isView && !this.#borrowed.has(tensor.storage) && !isKept(tensor.storage)) tensor.release();
  }
}

/** Every tensor that root was made from by recorded ops, and root, latest first. */
function tape(root: Tensor): Tensor[] {
  const seen = new Set<Tensor>([root]);
  const pending = [root];
  refuseSpent(root);
  for (let tensor = pending.pop(); tensor; tensor = pending.pop()) {
    for (const input of tensor.node?.inputs ?? []) {
      if (input) refuseSpent(input);
      if (!input?.node || seen.has(input)) continue;
      seen.add(input);
      pending.push(input);
    }
  }
  return [...seen].sort((a, b) => (b.node?.order ?? 0) - (a.node?.order ?? 0));
}

function refuseSpent(tensor: Tensor): void {
  if (!spent.has(tensor)) return;
  throw new ShapeError(
    `backward: an earlier backward went through a tensor ${formatShape(tensor.shape)} of this computation and took its ` +
      "tape apart; add the losses and call backward once, or use detach() of it",
  );
}
