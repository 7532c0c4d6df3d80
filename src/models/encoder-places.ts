import type { Backend } from "../backend/kernels.ts";
import type { AttentionPlaces } from "../nn/grouped-attention.ts";
import { RotaryTable } from "../nn/rotary-table.ts";
import type { AttentionMask } from "../tensor/ops/attention-mask.ts";
import { withinReach } from "../tensor/ops/attention-mask.ts";
import type { BertSettings } from "./bert.ts";
import type { DecoderSettings } from "./decoder-settings.ts";
import { plainDecoder } from "./decoder-settings.ts";

/** How the layers of an encoder whose queries and keys turn see and turn. */
type Turning = NonNullable<BertSettings["turning"]>;

/** Where the tokens of such an encoder stand and what they see, made once for all layers of a kind. */
export class EncoderPlaces {
  readonly #turning: Turning;
  readonly #tables: ReadonlyMap<number, RotaryTable>;

  constructor(backend: Backend, headDim: number, turning: Turning) {
    this.#turning = turning;
    const bases = new Set(turning.map(({ base }) => base));
    this.#tables = new Map(
      [...bases].map((base) => [base, new RotaryTable(backend, headDim, { base, turned: headDim, scaling: null })]),
    );
  }

  /** The places of each layer in a pass over a batch. */
  of(batch: number, time: number, lengths: Int32Array | undefined): (layer: number) => AttentionPlaces {
    const angles = new Map([...this.#tables].map(([base, table]) => [base, table.angles(time, null)]));
    const masks = new Map<number | null, AttentionMask>([[null, { causal: false, keyLengths: lengths }]]);
    return (layer) => {
      const { reach = null, base = 0 } = this.#turning[layer] ?? {};
      // Who sees as far as the text goes sees all of it.
      const key = reach === null || reach >= time - 1 ? null : reach;
      const mask = masks.get(key) ?? withinReach(lengths, key ?? 0, batch, time);
      masks.set(key, mask);
      return { mask, angles: angles.get(base) ?? null, slopes: null };
    };
  }
}

/**
 * The blocks of such an encoder, as a decoder's.
 *
 * @see Warner et al. (2024), "Smarter, better, faster, longer" (ModernBERT), section 2.1, arXiv:2412.13663.
 */
export function turningBlock(settings: BertSettings, turning: Turning): DecoderSettings {
  const { width, heads, attentionDropout, dropout } = settings;
  const headDim = width / heads;
  return {
    ...plainDecoder,
    ...settings,
    ...{ keyValueHeads: heads, headDim, attentionScale: headDim ** -0.5 },
    norm: { kind: "layer", epsilon: settings.normEpsilon, gain: true, bias: false },
    skipsFirstNorm: true,
    attention: turning.map(() => ({ window: null, rotary: null })),
    dropout: { embedding: 0, attention: attentionDropout, residual: dropout },
    config: {},
  };
}
