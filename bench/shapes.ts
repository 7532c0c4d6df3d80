/** Sizes that every model has, and the batch it is trained on. */
interface Sizes {
  readonly layers: number;
  readonly heads: number;
  readonly width: number;
  readonly context: number;
  /** Sequences in a step. */
  readonly batch: number;
  readonly vocabulary: number;
}

/** A model and the batch it is trained on, with the sizes that are its own. */
export type TrainingShape = Sizes &
  (
    | { readonly model: "gpt2" | "lstm" }
    /** Words of each sequence that are masked. */
    | { readonly model: "bert"; readonly masked: number }
    /** Layers are those of each stack; the decoder writes `targetTime` tokens. */
    | { readonly model: "t5"; readonly hidden: number; readonly targetTime: number }
    | { readonly model: "llama"; readonly hidden: number; readonly keyValueHeads: number }
    /** Of the experts, each `hidden` wide, a token goes through two: as many weights at work as in a llama of twice that. */
    | { readonly model: "mixtral"; readonly hidden: number; readonly keyValueHeads: number; readonly experts: number }
  );

const medium = { layers: 6, heads: 6, width: 384, context: 256, batch: 8, vocabulary: 4096 } as const;

/**
 * The fixed shapes: GPT-2 small enough for a demonstration, for a laptop's evening, and as published; and the other
 * models at about the size of M.
 */
export const shapes = {
  S: { model: "gpt2", layers: 4, heads: 4, width: 128, context: 64, batch: 12, vocabulary: 256 },
  M: { model: "gpt2", ...medium },
  L: { model: "gpt2", layers: 12, heads: 12, width: 768, context: 256, batch: 4, vocabulary: 50_304 },
  bert: { model: "bert", ...medium, masked: 38 },
  t5: { model: "t5", ...medium, layers: 3, heads: 5, width: 320, hidden: 864, targetTime: 64 },
  llama: { model: "llama", ...medium, hidden: 1024, keyValueHeads: 3 },
  lstm: { model: "lstm", ...medium, layers: 2, heads: 1, width: 640, context: 64, batch: 32 },
  moe: { model: "mixtral", ...medium, hidden: 512, keyValueHeads: 3, experts: 8 },
} as const satisfies Record<string, TrainingShape>;

/** SmolLM2-135M as published, but for its context: what decoding is measured with. */
export const decodingShape = {
  ...{ layers: 30, heads: 9, keyValueHeads: 3, width: 576, hidden: 1536, context: 2048, vocabulary: 49_152 },
} as const;

/** As many weights in rows that blocks of 256 fill, which those of SmolLM2 leave to other formats. */
export const decodingShapeOf256 = {
  ...{ layers: 15, heads: 12, keyValueHeads: 4, width: 768, hidden: 2048, context: 2048, vocabulary: 49_152 },
} as const;

/** 17 M weights: what sequences side by side are measured with. */
export const batchingShape = {
  ...{ layers: 8, heads: 8, keyValueHeads: 8, width: 384, hidden: 1024, context: 1024, vocabulary: 8192 },
} as const;

/** Name of a fixed shape. */
export type ShapeName = keyof typeof shapes;

/**
 * Floating-point operations of one training step: 6 for each weight of a matrix and token that meets it (2 forward, 4
 * backward), and 12 · width for each query and key of attention that meet, of which causality leaves half.
 */
export function stepFlops(shape: TrainingShape): number {
  const { layers, width, context, vocabulary, batch } = shape;
  const products = (weights: number, tokens: number): number => 6 * weights * tokens;
  const scores = (queries: number, keys: number): number => 12 * queries * keys * width;
  const output = products(vocabulary * width, context);
  const sequence = (): number => {
    switch (shape.model) {
      case "gpt2":
        return layers * (products(12 * width ** 2, context) + scores(context, context) / 2) + output;
      case "lstm":
        return layers * products(8 * width ** 2, context) + output;
      case "bert": {
        const head = products(width ** 2 + vocabulary * width, shape.masked);
        return layers * (products(12 * width ** 2, context) + scores(context, context)) + head;
      }
      case "t5": {
        const { hidden, targetTime } = shape;
        const reading = products(6 * width ** 2 + 3 * width * hidden, context) + scores(context, context);
        const writing = products(6 * width ** 2 + 3 * width * hidden, targetTime) + scores(targetTime, targetTime) / 2;
        return layers * (reading + writing + scores(targetTime, context)) + products(vocabulary * width, targetTime);
      }
      default: {
        const keyValues = (shape.keyValueHeads * width) / shape.heads;
        const chosen = shape.model === "mixtral" ? 2 : 1;
        const weights = 2 * width * (width + keyValues) + chosen * 3 * width * shape.hidden;
        return layers * (products(weights, context) + scores(context, context) / 2) + output;
      }
    }
  };
  return batch * sequence();
}

/** Tokens that go through the model in a step. */
export function stepTokens(shape: TrainingShape): number {
  return shape.batch * (shape.context + (shape.model === "t5" ? shape.targetTime : 0));
}
