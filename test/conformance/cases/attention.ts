import type { AttentionRule, FusedKernels, HeadRows } from "../../../src/backend/fused-kernels.ts";
import type { Kernels } from "../../../src/backend/kernels.ts";
import type { View } from "../../../src/backend/storage.ts";
import type { Case, CasesOf, Workspace } from "../workspace.ts";

interface Setup extends Partial<Pick<AttentionRule, "causal" | "scale" | "cap" | "dropout">> {
  readonly name: string;
  readonly batch?: number;
  readonly heads?: number;
  readonly keyValueHeads?: number;
  readonly queries: number;
  readonly keys: number;
  readonly headDim: number;
  readonly queryStarts?: readonly number[];
  readonly prefixLengths?: readonly number[];
  readonly keyLengths?: readonly number[];
  /** First key of query i of sequence b. */
  readonly firstKey?: (b: number, i: number) => number;
  readonly bias?: boolean;
  readonly slopes?: boolean;
  /** Keys and values are bfloat16, where they stand apart from queries. */
  readonly isRounded?: boolean;
}

const dropout = { rate: 0.3, draw: { key: [11, 0xfffffff0] as const, stream: 5 } };

const setups: readonly Setup[] = [
  { name: "one query, one key", batch: 1, heads: 1, queries: 1, keys: 1, headDim: 1 },
  { name: "causal, tails everywhere", causal: true, queries: 37, keys: 37, headDim: 19 },
  { name: "causal, whole tiles", causal: true, queries: 96, keys: 96, headDim: 32 },
  { name: "bidirectional, long rows", heads: 1, queries: 50, keys: 530, headDim: 8 },
  { name: "causal over more than one block", batch: 1, heads: 2, causal: true, queries: 300, keys: 300, headDim: 16 },
  { name: "wide heads", batch: 1, heads: 1, causal: true, queries: 20, keys: 20, headDim: 256 },
  { name: "grouped heads", heads: 6, keyValueHeads: 2, causal: true, queries: 30, keys: 30, headDim: 24 },
  { name: "one key-value head", heads: 3, keyValueHeads: 1, queries: 9, keys: 70, headDim: 33, scale: -0.4 },
  { name: "a chunk after a cache", causal: true, queries: 7, keys: 60, headDim: 16, queryStarts: [40, 3] },
  { name: "decoding", causal: true, queries: 1, keys: 1100, headDim: 64, queryStarts: [1099, 500] },
  { name: "decoding with grouped heads", heads: 4, keyValueHeads: 2, queries: 1, keys: 19, headDim: 40 },
  { name: "three queries", causal: true, queries: 3, keys: 50, headDim: 100, queryStarts: [46, 0], bias: true },
  { name: "prefixes", causal: true, queries: 29, keys: 29, headDim: 8, prefixLengths: [11, 0] },
  { name: "padding", queries: 21, keys: 40, headDim: 8, keyLengths: [40, 5] },
  { name: "a sequence without keys", causal: true, queries: 17, keys: 33, headDim: 8, keyLengths: [0, 20] },
  { name: "no key at all", queries: 2, keys: 5, headDim: 8, keyLengths: [0, 0] },
  { name: "keys of length 0", queries: 6, keys: 0, headDim: 8 },
  { name: "windows", causal: true, queries: 90, keys: 90, headDim: 8, firstKey: (_, i) => i - 9 },
  { name: "documents", queries: 50, keys: 50, headDim: 8, firstKey: (b, i) => (i > 20 + b ? 21 + b : 0) },
  {
    name: "queries that see nothing",
    causal: true,
    queries: 40,
    keys: 40,
    headDim: 8,
    firstKey: (_, i) => (i % 3) * i,
  },
  { name: "bias", queries: 31, keys: 45, headDim: 8, heads: 4, bias: true },
  { name: "causal with bias", causal: true, queries: 300, keys: 300, headDim: 4, batch: 2, heads: 1, bias: true },
  { name: "capped scores", causal: true, queries: 60, keys: 60, headDim: 24, scale: 3, cap: 5 },
  { name: "capped scores while decoding", queries: 1, keys: 90, headDim: 24, scale: 2, cap: 3, queryStarts: [89, 70] },
  { name: "slopes", causal: true, heads: 4, queries: 70, keys: 70, headDim: 16, slopes: true },
  {
    name: "slopes while decoding",
    ...{ causal: true, heads: 4, keyValueHeads: 2, queries: 2, keys: 1100, headDim: 16, slopes: true },
    queryStarts: [1098, 40],
  },
  { name: "dropout", causal: true, queries: 33, keys: 33, headDim: 8, dropout },
  { name: "dropout while decoding", queries: 2, keys: 77, headDim: 8, dropout },
  {
    name: "all rules",
    ...{ causal: true, heads: 4, keyValueHeads: 2, queries: 70, keys: 85, headDim: 17, bias: true, dropout },
    ...{ cap: 4, slopes: true },
    ...{ queryStarts: [5, 15], prefixLengths: [33, 0], keyLengths: [80, 60], firstKey: (b, i) => i - 20 * b - 30 },
  },
];

interface Operands {
  readonly rule: AttentionRule;
  readonly query: HeadRows;
  readonly key: HeadRows;
  readonly value: HeadRows;
  readonly out: View;
  readonly logSumExp: View;
}

/** Queries, keys and values packed side by side where there are as many of each, else apart. */
function operandsOf(setup: Setup, kernels: Kernels, memory: Workspace): Operands {
  const { batch = 2, heads = 2, keyValueHeads = heads, queries, keys, headDim } = setup;
  const rule: AttentionRule = {
    ...{ batch, heads, keyValueHeads, queries, keys, headDim, causal: setup.causal ?? false },
    ...{ scale: setup.scale ?? headDim ** -0.5, dropout: setup.dropout ?? null },
    mask: maskOf(setup, batch, memory),
    cap: setup.cap ?? null,
    bias: setup.bias ? memory.normal([heads, queries, keys], 9) : null,
    slopes: setup.slopes ? memory.floats(Float32Array.from({ length: heads }, (_, h) => 2 ** (-2 * h - 1))) : null,
  };
  const rows = headRows(rule, memory, 1, setup.isRounded);
  if (queries !== keys && !setup.isRounded) spoil(kernels, rows.key.view, setup.keyLengths ?? []);
  return {
    rule,
    ...rows,
    out: memory.blank([batch, queries, heads, headDim]),
    logSumExp: memory.blank([batch, heads, queries]),
  };
}

/** One row a sequence; wider where queries have first keys. */
function maskOf(setup: Setup, batch: number, memory: Workspace): View | null {
  const { queries, keys, queryStarts, prefixLengths, keyLengths, firstKey } = setup;
  if (!queryStarts && !prefixLengths && !keyLengths && !firstKey) return null;
  const rows = Array.from({ length: batch }, (_, b) => [
    ...[queryStarts?.[b] ?? 0, prefixLengths?.[b] ?? 0, keyLengths?.[b] ?? keys],
    ...(firstKey ? Array.from({ length: queries }, (_, i) => firstKey(b, i)) : []),
  ]);
  return memory.ids(rows.flat(), [batch, firstKey ? 3 + queries : 3]);
}

/** Padding may hold anything: keys and values beyond each sequence's length become NaN. */
function spoil(kernels: Kernels, { storage, offset, shape }: View, lengths: readonly number[]): void {
  const [, keys = 0, width = 0] = shape;
  lengths.forEach((length, b) => {
    kernels.fill({ storage, offset: offset + (b * keys + length) * width, shape: [keys - length, width] }, Number.NaN);
  });
}

/** Packed or apart; normal numbers for a seed, and NaN without one. */
function headRows(
  rule: AttentionRule,
  memory: Workspace,
  seed: number | null,
  isRounded = false,
): Pick<Operands, "query" | "key" | "value"> {
  const { batch, heads, keyValueHeads, queries, keys, headDim } = rule;
  const make = (time: number, width: number, more: number): View =>
    seed === null ? memory.blank([batch, time, width]) : memory.normal([batch, time, width], seed + more);
  const rows = (view: View, offset: number): HeadRows => {
    const [, time = 0, width = 0] = view.shape;
    return { view, offset, rowStride: width, batchStride: time * width };
  };
  if (queries === keys) {
    const all = make(queries, (heads + 2 * keyValueHeads) * headDim, 0);
    const at = (head: number): HeadRows => rows(all, head * headDim);
    return { query: at(0), key: at(heads), value: at(heads + keyValueHeads) };
  }
  const query = make(queries, heads * headDim, 0);
  const width = 2 * keyValueHeads * headDim;
  const both = isRounded ? memory.weights("bfloat16", [batch, keys, width], 2) : make(keys, width, 1);
  return { query: rows(query, 0), key: rows(both, 0), value: rows(both, keyValueHeads * headDim) };
}

const tolerance = { absolute: 1e-5, relative: 1e-4 };

/** Weights are rounded before they are divided by their sum, in the reference after: 8 bits in sums of some dozen terms. */
const roughly = { absolute: 0.03, relative: 0.01 };

function inBothPrecisions(one: Case): Case[] {
  return [one, { ...one, name: `${one.name}, bfloat16`, tolerance: roughly, matmulPrecision: "bfloat16" }];
}

/** Attends, and then does `more` with the same operands. */
function caseOf(
  setup: Setup,
  more: (operands: Operands, kernels: Kernels & FusedKernels, memory: Workspace) => void,
): Case {
  return {
    name: setup.name,
    tolerance,
    run(kernels, memory) {
      const operands = operandsOf(setup, kernels, memory);
      kernels.attention({ ...operands.rule, ...operands });
      more(operands, kernels, memory);
    },
  };
}

function forward(setup: Setup): Case {
  return caseOf(setup, (operands, kernels, memory) => {
    const out = memory.blank(operands.out.shape);
    kernels.attention({ ...operands.rule, ...operands, out, logSumExp: null });
  });
}

function gradient(setup: Setup): Case {
  return caseOf(setup, (operands, kernels, memory) => {
    const { rule } = operands;
    const { query: dQuery, key: dKey, value: dValue } = headRows(rule, memory, null);
    const dOut = memory.normal(operands.out.shape, 20);
    const dBias = rule.bias && memory.blank(rule.bias.shape);
    kernels.attentionGrad({ ...rule, ...operands, dOut, dQuery, dKey, dValue, dBias });
  });
}

/** Its weight is 1 in any precision, so what comes out is the value, rounded or not, and query and key have no gradient. */
const onlyKey: Setup = { name: "an only key, bfloat16 and nothing else", queries: 5, keys: 1, headDim: 20 };

export const attentionCases: CasesOf<"attention" | "attentionGrad"> = {
  attention: [
    ...setups.flatMap((setup) => inBothPrecisions(forward(setup))),
    { ...forward(onlyKey), matmulPrecision: "bfloat16" },
    ...setups
      .filter(({ queries, keys }) => queries !== keys)
      .map((setup) => forward({ ...setup, name: `${setup.name}, keys and values of bfloat16`, isRounded: true })),
  ],
  attentionGrad: [
    ...setups.flatMap((setup) => inBothPrecisions(gradient(setup))),
    { ...gradient(onlyKey), matmulPrecision: "bfloat16" },
  ],
};
