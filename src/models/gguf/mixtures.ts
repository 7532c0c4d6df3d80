import { ggmlTypes } from "../../checkpoint/gguf-values.ts";
import type { GgufDtype } from "../../checkpoint/gguf-writer.ts";
import type { Shape } from "../../core/shape.ts";

/**
 * What the matrices of a file are stored as, by the names that llama.cpp has for it. Blocks of 32 or of 256 neighbours in a row
 * share a scale; the mixtures `_M` spend more bits on the matrices that suffer most.
 */
export type GgufMixture = "F32" | "F16" | "BF16" | "Q8_0" | "Q6_K" | "Q5_K_M" | "Q5_0" | "Q4_K_M" | "Q4_0";

/** ggml's numbers for what most tensors of a file are. */
export const fileTypes: Readonly<Record<GgufMixture, number>> = {
  ...{ F32: 0, F16: 1, BF16: 32, Q8_0: 7, Q6_K: 18 },
  ...{ Q5_K_M: 17, Q5_0: 8, Q4_K_M: 15, Q4_0: 2 },
};

/** What the choice for a matrix goes by, beside the matrix. */
export interface MixedModel {
  readonly architecture: string;
  readonly layers: number;
  /** 0 without experts. */
  readonly experts: number;
  /** Whether the embedding is the output layer too. */
  readonly isTied: boolean;
}

/** A matrix of a file. */
interface Matrix {
  readonly name: string;
  readonly shape: Shape;
}

/** What takes the place of a format of 256 where rows are no multiple of that; every one is of 32. */
const narrower: Partial<Record<GgufDtype, GgufDtype>> = { Q4_K: "Q5_0", Q5_K: "Q5_1", Q6_K: "Q8_0" };

/**
 * The format of a matrix in a file of a mixture, as `llama-quantize` chooses it without an importance matrix; what it adds for
 * models of 70 billion parameters is left out.
 */
export function dtypeInMixture(mixture: GgufMixture, matrix: Matrix, model: MixedModel): GgufDtype {
  if (mixture === "F32" || mixture === "F16" || mixture === "BF16") return mixture;
  const wanted = wantedDtype(mixture, matrix, model);
  const chain = [wanted, narrower[wanted] ?? wanted];
  return chain.find((dtype) => fits(matrix, dtype)) ?? "F16";
}

type Blocks = Exclude<GgufMixture, "F32" | "F16" | "BF16">;

/** Of most matrices. */
const usual: Readonly<Record<Blocks, GgufDtype>> = {
  ...{ Q8_0: "Q8_0", Q6_K: "Q6_K", Q5_K_M: "Q5_K", Q5_0: "Q5_0", Q4_K_M: "Q4_K", Q4_0: "Q4_0" },
};

function wantedDtype(mixture: Blocks, matrix: Matrix, model: MixedModel): GgufDtype {
  const base = usual[mixture];
  const { name } = matrix;
  if (name === "output.weight" || (model.isTied && name === "token_embd.weight")) {
    return base === "Q8_0" || model.architecture === "falcon" || !fits(matrix, base) ? "Q8_0" : "Q6_K";
  }
  const [, layer = "", module = ""] = /^blk\.(\d+)\.(.*)\.weight$/.exec(name) ?? [];
  if (model.experts === 8 && /^attn_(qkv|v|k)$/.test(module)) return "Q8_0";
  if (mixture !== "Q4_K_M" && mixture !== "Q5_K_M") return base;
  return sensitiveDtype(mixture, { layer: Number(layer), module }, model) ?? base;
}

/** What the mixtures `_M` store some matrices of a block as, null for the others. */
function sensitiveDtype(
  mixture: "Q4_K_M" | "Q5_K_M",
  { layer, module }: { readonly layer: number; readonly module: string },
  { architecture, layers, experts }: MixedModel,
): GgufDtype | null {
  if (experts === 8 && module === "attn_output" && mixture === "Q4_K_M") return "Q5_K";
  if (!/^(attn_qkv|attn_v|ffn_down.*)$/.test(module)) return null;
  const isMore = deservesMore(layer, layers);
  if (architecture === "falcon" && mixture === "Q4_K_M" && module.startsWith("ffn_down")) {
    if (layer < Math.floor(layers / 16)) return "Q6_K";
    return isMore ? "Q5_K" : null;
  }
  return isMore ? "Q6_K" : null;
}

/** The first and the last eighth of the layers, and every third between. */
function deservesMore(layer: number, layers: number): boolean {
  const eighth = Math.floor(layers / 8);
  return layer < eighth || layer >= Math.floor((7 * layers) / 8) || (layer - eighth) % 3 === 2;
}

/** How many neighbours in a row share a scale in most matrices of a mixture; 1 where every number has its own. */
export function blockOf(mixture: GgufMixture): number {
  return mixture === "F32" || mixture === "F16" || mixture === "BF16" ? 1 : ggmlTypes[usual[mixture]].block;
}

function fits({ shape }: Matrix, dtype: GgufDtype): boolean {
  return (shape.at(-1) ?? 1) % ggmlTypes[dtype].block === 0;
}
