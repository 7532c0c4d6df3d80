import type { DecoderNames } from "../decoder-names.ts";
import type { Arrangement } from "./arrangement.ts";
import { byGroup, lessOne, pairedKeys, pairedQueries, same } from "./arrangement.ts";
import type { GgufTensorName } from "./layout.ts";

/** What files call modules of a decoder; those of a block come after its number. */
const outside = {
  tokenEmbedding: "token_embd",
  embeddingNorm: "token_embd_norm",
  finalNorm: "output_norm",
  head: "output",
} as const;
/** Norms after a sub-layer come first: a family's names may hold another norm's name that it has not. */
const inBlocks = {
  attentionAfter: "post_attention_norm",
  mlpAfter: "post_ffw_norm",
  attentionNorm: "attn_norm",
  mlpNorm: "ffn_norm",
  queryNorm: "attn_q_norm",
  keyNorm: "attn_k_norm",
  projection: "attn_output",
  expansion: "ffn_up",
  mlpProjection: "ffn_down",
} as const;

/** How an architecture's files differ from the usual. */
interface FileHabits {
  /** Whether rotary pairs are kept together, where folders have them half a head apart. */
  readonly pairsTogether: boolean;
  /** Other names of modules. */
  readonly inFile: Partial<Record<keyof DecoderNames, string>>;
}

/** A module in a folder and in a file. */
type Place = readonly [folder: string | undefined, gguf: string, arrangement?: Arrangement];

/** Where files keep every tensor that a folder of a family of decoders may have. */
export function decoderTensorNames(names: DecoderNames, { pairsTogether, inFile }: FileHabits): GgufTensorName[] {
  const arrangementOf = (module: string): Arrangement =>
    names.gainsAreShifted && /(Norm|After)$/.test(module) ? lessOne : same;
  const around = (Object.entries(outside) as [keyof typeof outside, string][]).map(
    ([module, gguf]): Place => [names[module], gguf, arrangementOf(module)],
  );
  const within = (Object.entries(inBlocks) as [keyof typeof inBlocks, string][]).map(
    ([module, gguf]): Place => [names[module], inFile[module] ?? gguf, arrangementOf(module)],
  );
  const blocks = [...within, ...attentionPlaces(names, pairsTogether), ...feedForwardPlaces(names)];
  return [
    ...around.flatMap(inBoth),
    ...blocks.flatMap(([folder, gguf, arrangement]) =>
      inBoth([folder && `${names.blocks}#.${folder}`, `blk.#.${gguf}`, arrangement ?? same]),
    ),
  ];
}

function attentionPlaces({ qkv }: DecoderNames, pairsTogether: boolean): Place[] {
  if ("packed" in qkv) return [[qkv.packed, "attn_qkv", qkv.order === "by-group" ? byGroup : same]];
  const [query, key, value] = qkv;
  return [
    [query, "attn_q", pairsTogether ? pairedQueries : same],
    [key, "attn_k", pairsTogether ? pairedKeys : same],
    [value, "attn_v"],
  ];
}

function feedForwardPlaces({ gateAndValue, router, experts }: DecoderNames): Place[] {
  const [gate, value] = gateAndValue ?? [];
  return [
    ...(value === undefined ? [[gate, "ffn_up"] as const] : [[gate, "ffn_gate"] as const, [value, "ffn_up"] as const]),
    [router, routerInFile],
    [experts?.gate, "ffn_gate_exps"],
    [experts?.value, "ffn_up_exps"],
    [experts?.projection, "ffn_down_exps"],
  ];
}

const routerInFile = "ffn_gate_inp";

/** The tensors of a module; none where the family has no such module. */
function inBoth([folder, gguf, arrangement = same]: Place): GgufTensorName[] {
  if (folder === undefined) return [];
  return ["weight", "bias"].map((part) => ({
    folder: `${folder}.${part}`,
    gguf: `${gguf}.${part}`,
    arrangement,
    isExact: gguf.endsWith(routerInFile),
  }));
}
