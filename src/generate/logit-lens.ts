import type { ChosenToken } from "../backend/token-choice.ts";
import { SettingsError } from "../core/errors.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { withoutGradients } from "../tensor/op.ts";
import { tensorScope } from "../tensor/scope.ts";
import { Tensor } from "../tensor/tensor.ts";
import { givenChoice } from "./sampling.ts";

/** What a model would say of some neighbouring places of a text if one of its blocks were the last. */
export interface LensSlice {
  /** The block, from 0 on. */
  readonly layer: number;
  /** Blocks in all. */
  readonly layers: number;
  /** Place of the first entry. */
  readonly first: number;
  /**
   * Of each place, the token that comes next in the text with its log-probability, and the likeliest tokens there. Behind
   * the last place nothing comes: its token is the likeliest.
   */
  readonly tokens: readonly ChosenToken[];
}

/** Numbers of logits that are worked out in one slice, at most: 2 M. */
const mostLogits = 1 << 21;

/**
 * The logit lens: what stands in the residual stream behind each block, through the model's last norm and output layer.
 * What it says of the last block is what the model says. The work comes in slices, so that others may have their turn.
 *
 * @param ids - Of a text, at most as many as the model reads.
 * @param alternatives - Likeliest tokens of each place.
 * @throws {SettingsError} when the text is empty or too long for the model.
 * @see nostalgebraist (2020), "interpreting GPT: the logit lens".
 */
export async function* logitLens(
  model: LanguageModel,
  ids: Int32Array,
  alternatives: number,
): AsyncGenerator<LensSlice, void> {
  const { context, vocabularySize } = model.settings;
  if (ids.length === 0 || ids.length > context) {
    throw new SettingsError(`logit lens: the text has ${ids.length} tokens; give 1 to ${context}`);
  }
  const blocks = statesOf(model, ids);
  const step = Math.max(1, Math.floor(mostLogits / vocabularySize));
  try {
    for (const [layer, states] of blocks.entries()) {
      for (let first = 0; first < ids.length; first += step) {
        const end = Math.min(ids.length, first + step);
        const logits = withoutGradients(() =>
          tensorScope(() => model.logits(model.finish(rowsOf(states, first, end)))),
        );
        const choices = Array.from({ length: end - first }, (_, i) =>
          givenChoice(ids[first + i + 1] ?? null, alternatives),
        );
        try {
          yield { layer, layers: blocks.length, first, tokens: await model.backend.chooseTokens(logits, choices) };
        } finally {
          logits.release();
        }
      }
    }
  } finally {
    for (const states of blocks) states.release();
  }
}

/** What each block gives, `[time, width]`. */
function statesOf(model: LanguageModel, ids: Int32Array): Tensor[] {
  const blocks: Tensor[] = [];
  withoutGradients(() =>
    tensorScope(() => {
      const afterBlock = (states: Tensor): void => {
        blocks.push(states.copy().reshape([ids.length, -1]).keep());
      };
      model.forward(Tensor.from(model.backend, ids, [1, ids.length]), { afterBlock });
    }),
  );
  return blocks;
}

function rowsOf(states: Tensor, first: number, end: number): Tensor {
  const width = states.axis(1);
  return states.window(first * width, [end - first, width]);
}
