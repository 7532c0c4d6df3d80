import type { Backend } from "../backend/kernels.ts";
import type { ModelContents } from "../checkpoint/model-folder.ts";
import { openModelFolder } from "../checkpoint/model-folder.ts";
import { SettingsError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import type { TaskEncoding } from "../data/task-inputs.ts";
import type { JsonObject } from "../files/json.ts";
import type { ModelFamily } from "../models/family.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { resizeVocabulary } from "../models/resize-vocabulary.ts";
import type { TaskDescription, TaskTokens } from "../models/task-model.ts";
import {
  DecoderTaskModel,
  isTaskModel,
  loadTaskTensors,
  openTaskModel,
  taskConfig,
  taskTensors,
} from "../models/task-model.ts";
import { parameters } from "../nn/parameters.ts";
import { loadTokenizer } from "../text/load-tokenizer.ts";
import { SequenceTemplate } from "../text/sequence-template.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { tokenizerFiles } from "../text/tokenizer-files.ts";
import { openAssistant } from "./assistant.ts";

/** A model that does a task, with what it takes to ask it. */
export interface Solver {
  readonly model: DecoderTaskModel;
  readonly family: ModelFamily;
  readonly tokenizer: Tokenizer;
  /** Puts the special tokens around texts. */
  readonly template: SequenceTemplate;
}

const tokens: TaskTokens = { start: "<|start|>", delimiter: "<|delimiter|>", extract: "<|extract|>" };

/** Starting values of the new tokens' embeddings lie this far around the mean of the old ones. */
const spread = 0.02;

/**
 * Gives a pretrained model the three tokens that frame a task's inputs, and a head; a folder that was fine-tuned before
 * goes on as it is.
 *
 * @throws {SettingsError} when it was fine-tuned for another task or other classes.
 */
export async function openSolver(
  path: string,
  wanted: Omit<TaskDescription, "tokens">,
  backend: Backend,
  options: { readonly seed: number; readonly headDropout: number },
): Promise<Solver> {
  const folder = await openModelFolder(path);
  try {
    if (isTaskModel(folder.config)) {
      const { model, family } = await openTaskModel(folder, backend, options.headDropout);
      refuseOtherTask(path, model.description, wanted);
      return solverOf(model, family, await loadTokenizer(path));
    }
  } finally {
    await folder.close();
  }
  const assistant = await openAssistant(path, backend);
  const { family } = assistant;
  const tokenizer = assistant.encoder.tokenizer.withSpecialTokens(Object.values(tokens));
  const random = new Random(options.seed);
  const body = await withNewTokens(family, assistant.model, tokenizer, random);
  const model = new DecoderTaskModel({ ...wanted, tokens }, body, random, options.headDropout);
  return solverOf(model, family, tokenizer);
}

/** Opens a model that `stemma finetune` has made. */
export async function openTrainedSolver(path: string, backend: Backend): Promise<Solver> {
  const folder = await openModelFolder(path);
  try {
    const { model, family } = await openTaskModel(folder, backend);
    return solverOf(model, family, await loadTokenizer(path));
  } finally {
    await folder.close();
  }
}

/** Puts the weights of a folder back into a model of the same shape. */
export async function restoreSolver({ model, family }: Solver, path: string): Promise<void> {
  const folder = await openModelFolder(path);
  try {
    await loadTaskTensors(family, model, folder.tensors);
  } finally {
    await folder.close();
  }
}

/** What the model folder of a solver is made from. Its tokenizer frames texts as they were in training. */
export function solverContents({ model, family, tokenizer, template }: Solver): ModelContents {
  const files = tokenizerFiles(tokenizer);
  const json = { ...tokenizer.toJson(), post_processor: template.toJson() };
  const fileConfig = JSON.parse(files["tokenizer_config.json"] ?? "{}") as object;
  const padding = tokenizer.endOfText ?? tokenizer.idOf(model.description.tokens.start) ?? 0;
  return {
    config: taskConfig(family, model, { endOfText: tokenizer.endOfText, padding }) as JsonObject,
    tensors: taskTensors(family, model),
    extraFiles: {
      ...files,
      "tokenizer.json": `${JSON.stringify(json, null, 2)}\n`,
      "tokenizer_config.json": `${JSON.stringify({ ...fileConfig, tokenizer_class: "PreTrainedTokenizerFast" }, null, 2)}\n`,
    },
  };
}

/** How a solver reads rows. */
export function encodingOf({ model, tokenizer, template }: Solver, longRows: TaskEncoding["longRows"]): TaskEncoding {
  return { tokenizer, template, context: model.body.settings.context, longRows };
}

function solverOf(model: DecoderTaskModel, family: ModelFamily, tokenizer: Tokenizer): Solver {
  const piece = (token: string) => ({ token, ids: [tokenizer.idOf(token) ?? 0], typeId: 0 });
  const { start, delimiter, extract } = model.description.tokens;
  const [a, b] = [
    { sequence: "A", typeId: 0 },
    { sequence: "B", typeId: 0 },
  ] as const;
  const template = new SequenceTemplate(
    [piece(start), a, piece(extract)],
    [piece(start), a, piece(delimiter), b, piece(extract)],
  );
  return { model, family, tokenizer, template };
}

/** The same model with rows for new tokens, each a random step away from the mean of the old ones. */
async function withNewTokens(
  family: ModelFamily,
  model: LanguageModel,
  tokenizer: Tokenizer,
  random: Random,
): Promise<LanguageModel> {
  const old = model.settings.vocabularySize;
  if (tokenizer.vocabularySize <= old) return model;
  const larger = await resizeVocabulary(family, model, tokenizer.vocabularySize, { endOfText: tokenizer.endOfText });
  for (const parameter of parameters(model).values()) parameter.release();
  for (const parameter of parameters(larger).values()) {
    if (parameter.shape.length !== 2 || parameter.axis(0) !== tokenizer.vocabularySize) continue;
    const width = parameter.axis(1);
    const rows = parameter.window(old * width, [tokenizer.vocabularySize - old, width]);
    const mean = await rows.read();
    rows.write(random.normal(rows.size, spread).map((noise, i) => noise + (mean[i] ?? 0)));
  }
  return larger;
}

function refuseOtherTask(path: string, own: TaskDescription, wanted: Omit<TaskDescription, "tokens">): void {
  const same = own.task === wanted.task && JSON.stringify(own.labels) === JSON.stringify(wanted.labels);
  if (same) return;
  const shown = own.labels.length > 0 ? ` (${own.labels.join(", ")})` : "";
  throw new SettingsError(
    `${path}: was fine-tuned for ${own.task}${shown}; start from a pretrained model, or give data of the same classes`,
  );
}
