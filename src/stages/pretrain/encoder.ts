import type { Backend } from "../../backend/kernels.ts";
import { SettingsError } from "../../core/errors.ts";
import type { MaskedBatch, MaskingTokens } from "../../data/masked-words.ts";
import { maskedWindows } from "../../data/masked-words.ts";
import { fillIn } from "../../generate/fill-in.ts";
import type { BertForPretraining } from "../../models/bert.ts";
import { bert } from "../../models/bert-families.ts";
import { encoderOperationsPerToken } from "../../models/operations.ts";
import { loadTensors } from "../../models/read-model.ts";
import { freeze, trainedParameters } from "../../nn/parameters.ts";
import type { Tokenizer, TokenRoles } from "../../text/tokenizer.ts";
import { meanLoss } from "../../train/mean-loss.ts";
import { maskedWordsLoss } from "../../train/objectives/masked-words.ts";
import { adaptFor, keepingOf } from "../adapter-run.ts";
import type { StageEnvironment, StageRun } from "../stage.ts";
import { modelContents, openOtherModel, usualContext } from "./model.ts";
import { evaluationSteps, prepareText, pretrainingRun } from "./run.ts";
import type { PretrainSettings } from "./settings.ts";

const specialTokens: TokenRoles = { pad: "[PAD]", unk: "[UNK]", cls: "[CLS]", sep: "[SEP]", mask: "[MASK]" };

/**
 * An encoder learns to name masked words and, of two segments, whether the second follows the first.
 *
 * @see Devlin et al. (2019), section 3.1.
 */
export async function pretrainEncoder(
  settings: PretrainSettings,
  environment: StageEnvironment,
  backend: Backend,
): Promise<StageRun> {
  const { model, tokenizer } = await openOtherModel(
    bert,
    { ...settings, tokenizerKind: "wordpiece" },
    environment,
    backend,
    {
      complete: withSpecialTokens,
      shape: (shaped, of) => ({ ...shaped, padding: idOf(of, "pad") }),
    },
  );
  if (settings.loraRank > 0) freeze(model); // heads included, which have no adapters
  adaptFor(settings, model.body);
  const tokens = maskingTokens(tokenizer);
  const context = settings.context ?? Math.min(model.settings.context, usualContext);
  // In token files a separator stands between documents.
  const data = await prepareText(
    settings,
    tokenizer.withSpecialTokens([], { eos: roleOf(tokenizer, "sep") }),
    environment,
  );
  const { batchSize, recompute, seed, maskRate: rate = 0.15 } = settings;
  const { wholeWords = false, nextSentence: pairs = true } = settings;
  const text = { context, tokens, rate, wholeWords, pairs };
  const windows = maskedWindows({ ...text, sources: data.training, seed });
  const held = data.validation.filter(({ length }) => length >= 2 * context);
  const evaluation = held.length > 0 ? maskedWindows({ ...text, sources: held.map(equally), seed: 0 }) : null;
  return pretrainingRun(
    {
      ...{ model, data, parameters: trainedParameters(model), batchAt: windows.batchAt },
      objective: (of: BertForPretraining, batch: MaskedBatch, random) =>
        maskedWordsLoss(of, batch, random, { recompute }),
      tokensOf: ({ lengths }) => lengths.reduce((sum, length) => sum + length, 0),
      evaluate: async () => {
        const steps = evaluation ? evaluationSteps(evaluation.windows, context, settings) : 0;
        const batches = Array.from({ length: steps }, (_, step) => evaluation?.batchAt(step, { batchSize }) ?? []);
        return meanLoss(batches.flat(), (batch) => maskedWordsLoss(model, batch, null));
      },
      sample: (step) => sample(model, tokenizer, (evaluation ?? windows).batchAt(0, { batchSize: 1 })[0], step),
      contents: () => modelContents(bert, model, tokenizer),
      adapters: keepingOf({ model, bindings: () => bert.tensors(model), taskType: null }, settings, environment),
      best: { isEvaluated: evaluation !== null, restore: (source) => loadTensors(bert, model, source) },
      operationsPerToken: encoderOperationsPerToken(model, context, rate),
    },
    settings,
    environment,
    backend,
  );

  /** Masks filled in: those of the prompts or, where there are none, of held-out text. */
  async function sample(
    of: BertForPretraining,
    reader: Tokenizer,
    masked: MaskedBatch | undefined,
    step: number,
  ): Promise<void> {
    const given = settings.prompts.map((prompt) => reader.frame(reader.encode(prompt)));
    const own = masked && {
      ids: masked.inputs.slice(0, masked.lengths[0]),
      typeIds: masked.segments.slice(0, masked.lengths[0]),
    };
    for (const { ids, typeIds } of given.length > 0 ? given : own ? [own] : []) {
      const isWord = (id: number): boolean => reader.tokenOf(id) !== null && !tokens.special.has(id);
      const filled = await fillIn(of, ids, typeIds, { mask: tokens.mask, isWord });
      environment.sample(step, { prompt: reader.decode(ids), text: reader.decode(filled), isAnswer: true });
    }
  }
}

function equally<File>(file: File): { file: File; weight: number } {
  return { file, weight: 1 };
}

/** The same tokenizer with every token that masking needs. */
function withSpecialTokens(tokenizer: Tokenizer): Tokenizer {
  const missing = Object.entries(specialTokens).filter(([role]) => !(role in tokenizer.roles));
  const tokens = missing.map(([, token]) => token);
  return tokens.length > 0 ? tokenizer.withSpecialTokens(tokens, Object.fromEntries(missing)) : tokenizer;
}

function roleOf({ roles }: Tokenizer, role: keyof TokenRoles): string {
  const token = roles[role];
  if (token !== undefined) return token;
  throw new SettingsError(
    `tokenizer: it has no ${role} token, which bert needs; learn one with --tokenizer wordpiece-4096`,
  );
}

function idOf(tokenizer: Tokenizer, role: keyof TokenRoles): number {
  const id = tokenizer.specialTokens.get(roleOf(tokenizer, role));
  if (id !== undefined) return id;
  throw new SettingsError(`tokenizer: ${roleOf(tokenizer, role)} is not one of its special tokens`);
}

function maskingTokens(tokenizer: Tokenizer): MaskingTokens {
  const { vocabularySize } = tokenizer;
  const goesOn = Array.from({ length: vocabularySize }, (_, id) => isContinuation(tokenizer, id));
  return {
    ...{ classification: idOf(tokenizer, "cls"), separator: idOf(tokenizer, "sep"), mask: idOf(tokenizer, "mask") },
    ...{ padding: idOf(tokenizer, "pad"), endOfText: idOf(tokenizer, "sep"), vocabularySize },
    special: new Set(tokenizer.specialTokens.values()),
    isContinuation: (id) => goesOn[id] ?? false,
  };
}

/** Whether a token is written as the rest of a word. */
function isContinuation(tokenizer: Tokenizer, id: number): boolean {
  const token = tokenizer.tokenOf(id) ?? "";
  return tokenizer.kind === "wordpiece" ? token.startsWith("##") : /^\p{L}/u.test(token) && !/^[ĠĊ]/.test(token);
}
