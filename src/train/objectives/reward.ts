import type { Backend } from "../../backend/kernels.ts";
import { Tensor } from "../../tensor/tensor.ts";

/** Comparisons among a list of answers, each by its place in the list. */
export interface RankedPairs {
  readonly better: Int32Array;
  readonly worse: Int32Array;
  /** By how much the rewards of a pair should differ; 0 asks for no more than the right order. */
  readonly margins: Float32Array;
  /** Weight of each pair's loss; all weights sum to 1. */
  readonly weights: Float32Array;
  /** How far apart the ranks of a pair are. */
  readonly distances: Float32Array;
}

/**
 * Every comparison that rankings hold: of K answers to a prompt, all pairs but the ties. Prompts weigh the same however
 * many pairs they have; within a prompt each pair weighs 1 / (number of pairs).
 *
 * @param rankings - For each prompt the rank of each answer; 1 is best, equal ranks are ties. Answers are counted through
 * all prompts, in order.
 * @param marginPerRank - Margin of a pair for each rank that lies between its answers.
 */
export function rankedPairs(rankings: readonly (readonly number[])[], marginPerRank = 0): RankedPairs {
  const pairs: { better: number; worse: number; distance: number; weight: number }[] = [];
  const prompts = rankings.filter((ranks) => new Set(ranks).size > 1).length;
  let first = 0;
  for (const ranks of rankings) {
    const before = pairs.length;
    for (const [i, rank] of ranks.entries()) {
      for (const [j, other] of ranks.entries()) {
        if (rank < other) pairs.push({ better: first + i, worse: first + j, distance: other - rank, weight: 0 });
      }
    }
    const own = pairs.slice(before);
    for (const pair of own) pair.weight = 1 / (own.length * prompts);
    first += ranks.length;
  }
  return {
    better: Int32Array.from(pairs, ({ better }) => better),
    worse: Int32Array.from(pairs, ({ worse }) => worse),
    margins: Float32Array.from(pairs, ({ distance }) => marginPerRank * distance),
    weights: Float32Array.from(pairs, ({ weight }) => weight),
    distances: Float32Array.from(pairs, ({ distance }) => distance),
  };
}

/** The loss of a reward model, and how often it is right. All are scalars. */
export interface RewardLoss {
  readonly loss: Tensor;
  /** Share of pairs in the right order, by their weights. Off the tape. */
  readonly accuracy: Tensor;
  /** Mean difference of the rewards of a pair, by their weights. Off the tape. */
  readonly margin: Tensor;
}

/**
 * Loss of a reward model on comparisons among `rewards`:
 * L = −Σ wᵢ log σ(r_better − r_worse − mᵢ) + c Σ wᵢ (r_better + r_worse)².
 *
 * With {@link rankedPairs} it is the K-wise loss of InstructGPT, −1/C(K,2) E[log σ(r(x, y_w) − r(x, y_l))]: each answer
 * goes through the model once, however many pairs it is in. The margin m is Llama 2's; the last term, with the
 * coefficient `centering`, keeps rewards around 0, which comparisons alone do not fix.
 *
 * Shapes: rewards `[answers]` → scalar, in nats.
 *
 * @see Ouyang et al. (2022), equation 1, arXiv:2203.02155; Touvron et al. (2023), equation 2, arXiv:2307.09288;
 * Eisenstein et al. (2023), equation 2, arXiv:2312.09244, for the centering.
 */
export function rankingLoss(rewards: Tensor, pairs: RankedPairs, centering = 0): RewardLoss {
  const { backend } = rewards;
  const table = rewards.reshape([-1, 1]);
  const pick = (answers: Int32Array): Tensor => table.gatherRows(onBackend(backend, answers)).reshape([-1]); // [pairs]
  const [better, worse] = [pick(pairs.better), pick(pairs.worse)];
  const weights = onBackend(backend, pairs.weights);
  const difference = better.sub(worse);
  const losses = difference.sub(onBackend(backend, pairs.margins)).map("logSigmoid").neg();
  const off = centering === 0 ? losses : losses.add(better.add(worse).map("square").mul(centering));
  return {
    loss: off.mul(weights).sum(),
    accuracy: isPositive(difference.detach()).mul(weights).sum(),
    margin: difference.detach().mul(weights).sum(),
  };
}

/** 1 where x > 0, else 0; off the tape. */
function isPositive(x: Tensor): Tensor {
  const out = x.blank();
  x.backend.kernels.binary("greater", x, x.filled([], 0), out);
  return out;
}

function onBackend(backend: Backend, values: Int32Array | Float32Array): Tensor {
  return Tensor.from(backend, values, [values.length]);
}
