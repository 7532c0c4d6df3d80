import type { DecoderSettings } from "../decoder-settings.ts";
import { plainDecoder } from "../decoder-settings.ts";

/** Sizes and rates that a config.json of such a decoder names in one way or another. */
interface OlderSizes
  extends Pick<DecoderSettings, "vocabularySize" | "context" | "width" | "layers" | "heads" | "hidden" | "activation"> {
  readonly normEpsilon: number;
  readonly tiedEmbeddings: boolean;
  readonly dropout: DecoderSettings["dropout"];
  readonly initializerRange: number;
}

/** What decoders before Llama have in common: layer norms, plain feed-forward layers, a key-value head for each head. */
export function olderProperties({ normEpsilon, ...sizes }: OlderSizes): Omit<DecoderSettings, "config" | "attention"> {
  const headDim = sizes.width / sizes.heads;
  return {
    ...plainDecoder,
    ...sizes,
    keyValueHeads: sizes.heads,
    headDim,
    gated: false,
    norm: { kind: "layer", epsilon: normEpsilon, gain: true, bias: true },
    attentionScale: 1 / Math.sqrt(headDim),
  };
}
