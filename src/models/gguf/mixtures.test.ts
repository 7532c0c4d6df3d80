import { expect, test } from "vitest";
import type { GgufMixture, MixedModel } from "./mixtures.ts";
import { dtypeInMixture } from "./mixtures.ts";

const plain: MixedModel = { architecture: "llama", layers: 30, experts: 0, isTied: true };

function counted(mixture: GgufMixture, shapes: Record<string, [number, number]>, model: MixedModel): object {
  const counts: Record<string, number> = {};
  for (const [name, shape] of Object.entries(shapes)) {
    for (let layer = 0; layer < (name.includes("#") ? model.layers : 1); layer++) {
      const dtype = dtypeInMixture(mixture, { name: name.replace("#", String(layer)), shape }, model);
      counts[dtype] = (counts[dtype] ?? 0) + 1;
    }
  }
  return counts;
}

/** SmolLM2-135M. */
const small: Record<string, [number, number]> = {
  "token_embd.weight": [49152, 576],
  ...{ "blk.#.attn_q.weight": [576, 576], "blk.#.attn_k.weight": [192, 576], "blk.#.attn_v.weight": [192, 576] },
  ...{ "blk.#.attn_output.weight": [576, 576], "blk.#.ffn_gate.weight": [1536, 576] },
  ...{ "blk.#.ffn_up.weight": [1536, 576], "blk.#.ffn_down.weight": [576, 1536] },
};

test("SmolLM2-135M has as many tensors of each format as its published Q4_K_M file", () => {
  expect(counted("Q4_K_M", small, plain)).toEqual({ Q5_0: 166, Q4_K: 16, Q6_K: 14, Q8_0: 15 });
});

test("other mixtures of the same model", () => {
  expect(counted("Q5_K_M", small, plain)).toEqual({ Q5_1: 166, Q5_K: 16, Q6_K: 14, Q8_0: 15 });
  expect(counted("Q6_K", small, plain)).toEqual({ Q8_0: 181, Q6_K: 30 });
  expect(counted("Q4_0", small, plain)).toEqual({ Q4_0: 210, Q8_0: 1 });
  expect(counted("BF16", small, plain)).toEqual({ BF16: 211 });
});

test("embedding and output layer", () => {
  const two = { "token_embd.weight": [32000, 2048], "output.weight": [32000, 2048] } as const;
  const untied = { ...plain, isTied: false };
  const of = (mixture: GgufMixture, model: MixedModel): string[] =>
    Object.entries(two).map(([name, shape]) => dtypeInMixture(mixture, { name, shape }, model));
  expect(of("Q4_K_M", untied)).toEqual(["Q4_K", "Q6_K"]);
  expect(of("Q4_0", untied)).toEqual(["Q4_0", "Q6_K"]);
  expect(of("Q8_0", untied)).toEqual(["Q8_0", "Q8_0"]);
  expect(of("Q5_0", { ...untied, architecture: "falcon" })).toEqual(["Q5_0", "Q8_0"]);
  expect(dtypeInMixture("Q4_K_M", { name: "token_embd.weight", shape: [32000, 2048] }, plain)).toBe("Q6_K");
});

test("eight experts", () => {
  const eight = { ...plain, experts: 8 };
  const of = (module: string): string =>
    dtypeInMixture("Q4_K_M", { name: `blk.15.${module}.weight`, shape: [512, 512] }, eight);
  expect(["attn_q", "attn_k", "attn_v", "attn_output", "ffn_down_exps", "ffn_up_exps"].map(of)).toEqual(
    ["Q4_K", "Q8_0", "Q8_0", "Q5_K", "Q4_K", "Q4_K"], // layer 15 is none of every third
  );
});

test("rows that are no whole blocks are of 16 bits", () => {
  for (const mixture of ["Q8_0", "Q4_0", "Q4_K_M", "Q6_K"] as const) {
    expect(dtypeInMixture(mixture, { name: "blk.0.attn_q.weight", shape: [40, 40] }, plain)).toBe("F16");
  }
});
