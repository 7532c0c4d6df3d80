import { isAdapterPath } from "../nn/low-rank.ts";
import type { Parameter } from "../nn/parameters.ts";
import { parameters } from "../nn/parameters.ts";
import type { DecoderSettings } from "./decoder-settings.ts";
import type { TensorBinding } from "./family.ts";
import { packedTensors } from "./packed-tensors.ts";

/** Where a family's files keep what a {@link TransformerDecoder} has; modules of a block are named from the block on. */
export interface DecoderNames {
  readonly tokenEmbedding: string;
  readonly positionEmbedding?: string;
  readonly embeddingNorm?: string;
  readonly finalNorm?: string;
  readonly head: string;
  /** Before the number of a block. */
  readonly blocks: string;
  readonly attentionNorm?: string;
  readonly attentionAfter?: string;
  readonly mlpNorm?: string;
  readonly mlpAfter?: string;
  /** Three modules; or one with all rows, one kind after the other or those of each key-value head together. */
  readonly qkv:
    | readonly [query: string, key: string, value: string]
    | { readonly packed: string; readonly order: "by-kind" | "by-group" };
  readonly queryNorm?: string;
  readonly keyNorm?: string;
  readonly projection: string;
  /** Of a gated layer: two modules, or one with both. */
  readonly gateAndValue?: readonly [gate: string, value: string] | readonly [both: string];
  /** Of a plain one. */
  readonly expansion?: string;
  readonly mlpProjection?: string;
  readonly router?: string;
  /** Each expert's, with `@` for its number. */
  readonly experts?: { readonly gate: string; readonly value: string; readonly projection: string };
  /** Whether the pairs that turn are neighbours in a head, rather than halves apart. */
  readonly pairsAreNeighbours?: boolean;
  /** Whether gains of RMS norms are stored less 1. */
  readonly gainsAreShifted?: boolean;
}

/** Names of most families that came after Llama. */
export const llamaNames = {
  tokenEmbedding: "model.embed_tokens",
  finalNorm: "model.norm",
  head: "lm_head",
  blocks: "model.layers.",
  attentionNorm: "input_layernorm",
  mlpNorm: "post_attention_layernorm",
  qkv: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
  queryNorm: "self_attn.q_norm",
  keyNorm: "self_attn.k_norm",
  projection: "self_attn.o_proj",
  gateAndValue: ["mlp.gate_proj", "mlp.up_proj"],
  mlpProjection: "mlp.down_proj",
} as const satisfies DecoderNames;

/** A parameter of a decoder, and how a module of its own in the files is called. */
interface Placed {
  readonly parameter: Parameter;
  readonly settings: DecoderSettings;
  readonly names: DecoderNames;
  /** The tensor of a module in the files, by the module's name within its block. */
  readonly inFile: (module: string) => string;
}

/** Every parameter of a decoder as its family's files name and arrange it. */
export function decoderTensors(model: { readonly settings: DecoderSettings }, names: DecoderNames): TensorBinding[] {
  const own = [...parameters(model)].filter(([path]) => !isAdapterPath(path));
  return own.flatMap(([path, parameter]) => {
    const [, layer, inBlock] = /^blocks\.(\d+)\.(.*)$/.exec(path) ?? [];
    const [, module = "", field = "weight"] = /^(.*?)(?:\.(gain|weight|bias))?$/.exec(inBlock ?? path) ?? [];
    const prefix = layer === undefined ? "" : `${names.blocks}${layer}.`;
    const ending = field === "bias" || module === "headBias" ? "bias" : "weight";
    const placed: Placed = {
      ...{ parameter, settings: model.settings, names },
      inFile: (name) => `${prefix}${name}.${ending}`,
    };
    const arranged = arrangements[module];
    if (arranged) return arranged(placed);
    const name = namesOf(names)[module];
    if (name === undefined) throw new Error(`internal: the family has no name for ${path}`);
    const shift = field === "gain" && names.gainsAreShifted ? 1 : undefined;
    return [{ name: placed.inFile(name), parameter, transposed: false, shift }];
  });
}

/** Modules that lie in the files as they do here. */
function namesOf(names: DecoderNames): Readonly<Record<string, string | undefined>> {
  const { qkv: _, gateAndValue: __, experts: ___, pairsAreNeighbours: ____, gainsAreShifted: _____, ...own } = names;
  return {
    ...own,
    headBias: names.head,
    "attention.projection": names.projection,
    "mlp.expansion": names.expansion,
    "mlp.projection": names.mlpProjection,
    "experts.router": names.router,
  };
}

/** Modules that do not. */
const arrangements: Readonly<Record<string, (placed: Placed) => TensorBinding[]>> = {
  "attention.qkv": attentionInputs,
  "attention.queryNorm": (placed) => headNorm(placed, placed.names.queryNorm),
  "attention.keyNorm": (placed) => headNorm(placed, placed.names.keyNorm),
  "mlp.gateAndValue": ({ parameter, settings, names, inFile }) => {
    const modules = names.gateAndValue ?? [];
    const rows = (2 * settings.hidden) / modules.length;
    return packedTensors(
      parameter,
      modules.map((module) => [inFile(module), rows]),
    );
  },
  "experts.gateAndValue": (placed) => expertTensors(placed, ["gate", "value"]),
  "experts.projection": (placed) => expertTensors(placed, ["projection"]),
};

function expertTensors(
  { parameter, settings, names, inFile }: Placed,
  parts: readonly ("gate" | "value" | "projection")[],
): TensorBinding[] {
  const rows = parameter.axis(1) / parts.length;
  const all = Array.from({ length: settings.experts }, (_, expert) =>
    parts.map((part): [string, number] => [inFile((names.experts?.[part] ?? "").replace("@", String(expert))), rows]),
  );
  return packedTensors(parameter, all.flat());
}

/** A norm of queries or keys: its gains are in the order of a head's dimensions. */
function headNorm({ parameter, settings, names, inFile }: Placed, module: string | undefined): TensorBinding[] {
  if (module === undefined) throw new Error("internal: the family has no name for its norms of queries and keys");
  const order = headOrder(settings, names);
  const rows = order && repeated(order, parameter.size / settings.headDim);
  const shift = names.gainsAreShifted ? 1 : undefined;
  return [{ name: inFile(module), parameter, transposed: false, rows, shift }];
}

function attentionInputs(placed: Placed): TensorBinding[] {
  const { parameter, settings, names, inFile } = placed;
  const { heads, keyValueHeads, headDim } = settings;
  const order = headOrder(settings, names);
  if ("packed" in names.qkv) {
    const rows = packedOrder(settings, order, names.qkv.order);
    return [{ name: inFile(names.qkv.packed), parameter, transposed: false, rows }];
  }
  const counts = [heads, keyValueHeads, keyValueHeads] as const;
  const parts = names.qkv.map((module, i): [string, number] => [inFile(module), (counts[i] ?? 0) * headDim]);
  return packedTensors(parameter, parts).map((binding, i) =>
    order && i < 2 ? { ...binding, rows: repeated(order, counts[i] ?? 0) } : binding,
  );
}

/**
 * Which dimension of a head in the files each of ours is, or undefined where they are the same. Ours that turn come in
 * pairs half a head apart; those that do not turn stand between, so that their pairs can have the angle 0.
 */
function headOrder({ attention, headDim }: DecoderSettings, names: DecoderNames): Int32Array | undefined {
  const turned = attention.find(({ rotary }) => rotary !== null)?.rotary?.turned ?? headDim;
  if (turned === headDim && !names.pairsAreNeighbours) return undefined;
  const [pairs, half] = [turned / 2, headDim / 2];
  return Int32Array.from({ length: headDim }, (_, ours) => {
    const [side, place] = [Math.floor(ours / half), ours % half];
    if (place >= pairs) return turned + side * (half - pairs) + place - pairs;
    return names.pairsAreNeighbours ? 2 * place + side : side * pairs + place;
  });
}

function repeated(order: Int32Array, heads: number): Int32Array {
  const { length } = order;
  return Int32Array.from(
    { length: heads * length },
    (_, i) => Math.floor(i / length) * length + (order[i % length] ?? 0),
  );
}

/** Rows of queries, keys and values that a file keeps in one matrix; undefined where it has them as we do. */
function packedOrder(
  { heads, keyValueHeads, headDim }: DecoderSettings,
  order: Int32Array | undefined,
  kind: "by-kind" | "by-group",
): Int32Array | undefined {
  if (kind === "by-kind" && !order) return undefined;
  const sharing = heads / keyValueHeads;
  return Int32Array.from({ length: (heads + 2 * keyValueHeads) * headDim }, (_, row) => {
    const [head, place] = [Math.floor(row / headDim), row % headDim];
    const isValue = head >= heads + keyValueHeads;
    const dimension = isValue ? place : (order?.[place] ?? place);
    if (kind === "by-kind") return head * headDim + dimension;
    // In the file: the queries of a group, then its key, then its value.
    const group = head < heads ? Math.floor(head / sharing) : (head - heads) % keyValueHeads;
    const within = head < heads ? head % sharing : sharing + (isValue ? 1 : 0);
    return (group * (sharing + 2) + within) * headDim + dimension;
  });
}
