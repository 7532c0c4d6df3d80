import type { Backend } from "../backend/kernels.ts";
import type { ModelContents, ModelFolder } from "../checkpoint/model-folder.ts";
import { SettingsError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import type { TaskEncoding } from "../data/task-inputs.ts";
import type { JsonObject } from "../files/json.ts";
import { loadTokenizerFor, openTrainee } from "../generate/assistant.ts";
import type { EncoderTaskModel } from "../models/encoder-task-model.ts";
import { encoderStorage, newEncoderTaskModel, openEncoderTaskModel } from "../models/encoder-task-model.ts";
import { encoderNamed } from "../models/encoders.ts";
import type { ModelFamily } from "../models/family.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { openModel } from "../models/load.ts";
import { resizeVocabulary } from "../models/resize-vocabulary.ts";
import type { TaskDescription, TaskModel, TaskStorage, TaskTokens } from "../models/task-model.ts";
import { DecoderTaskModel, decoderStorage, isTaskModel, openTaskModel } from "../models/task-model.ts";
import type { WeightChoice } from "../models/weight-choice.ts";
import { parameters } from "../nn/parameters.ts";
import { paddingOf } from "../text/padding.ts";
import { SequenceTemplate } from "../text/sequence-template.ts";
import { boundsOf } from "../text/text-bounds.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import type { TokenizerFiles } from "../text/tokenizer-files.ts";
import { tokenizerFiles } from "../text/tokenizer-files.ts";
import { longestContext } from "./row-settings.ts";

/** A model that does a task, with what it takes to ask it. */
export interface Solver {
  readonly model: TaskModel;
  readonly storage: TaskStorage;
  readonly tokenizer: Tokenizer;
  /** Puts the special tokens around texts. */
  readonly template: Pick<SequenceTemplate, "frame">;
  /** The files of the tokenizer, which frames texts as they were in training. */
  readonly files: () => Readonly<Record<string, string | Uint8Array>>;
  /** Whether the embedding has rows for new tokens, which the model it was made from lacks. */
  readonly isEnlarged: boolean;
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
  options: {
    readonly seed: number;
    readonly headDropout: number;
    readonly weights: WeightChoice;
    readonly adapters: readonly string[];
    readonly note: (line: string) => void;
  },
): Promise<Solver> {
  const { config } = await readFolder(path);
  const encoder = encoderNamed(config);
  if (isTaskModel(config)) {
    const solver = await openTrainedSolver(path, backend, options);
    refuseOtherTask(path, solver.model.description, wanted);
    return solver;
  }
  if (encoder) {
    const description = { ...wanted, tokens: { start: "[CLS]", delimiter: "[SEP]", extract: "[SEP]" } };
    const random = new Random(options.seed);
    const model = await newEncoderTaskModel(encoder, path, description, backend, { ...options, random });
    return encoderSolver(model, await loadTokenizerFor(model.body, path));
  }
  const assistant = await openTrainee(path, backend, options.adapters, options.weights);
  const { family } = assistant;
  const tokenizer = assistant.encoder.tokenizer.withSpecialTokens(Object.values(tokens));
  const random = new Random(options.seed);
  const isEnlarged = tokenizer.vocabularySize > assistant.model.settings.vocabularySize;
  const body = await withNewTokens(family, assistant.model, tokenizer, random);
  const model = new DecoderTaskModel({ ...wanted, tokens }, body, random, options.headDropout);
  return { ...solverOf(model, family, tokenizer), isEnlarged };
}

/**
 * Opens a model that `stemma finetune` has made, or anyone's classifier.
 *
 * @throws {CheckpointError} when it is another kind of model, or damaged, or an adapter is of another one.
 */
export async function openTrainedSolver(
  path: string,
  backend: Backend,
  {
    headDropout = 0,
    weights = "stored",
    adapters = [],
  }: {
    readonly headDropout?: number;
    readonly weights?: WeightChoice;
    readonly adapters?: readonly string[];
  } = {},
): Promise<Solver> {
  const { config } = await readFolder(path);
  const encoder = encoderNamed(config);
  if (encoder) {
    const model = await openEncoderTaskModel(encoder, path, backend, { headDropout, weights, adapters });
    return encoderSolver(model, await loadTokenizerFor(model.body, path));
  }
  const folder = await openModel(path);
  try {
    const { model, family } = await openTaskModel(folder, backend, { weights, headDropout, adapters });
    return solverOf(model, family, await loadTokenizerFor(model.body, path));
  } finally {
    await folder.close();
  }
}

/** What the model folder of a solver is made from. */
export function solverContents({ storage, tokenizer, files }: Solver): ModelContents {
  const { endOfText, roles } = tokenizer;
  const ids = { beginOfText: roles.bos === undefined ? null : tokenizer.idOf(roles.bos), endOfText };
  return {
    config: storage.config({ ...ids, padding: paddingOf(tokenizer) ?? 0 }) as JsonObject,
    tensors: storage.tensors(),
    extraFiles: files(),
  };
}

async function readFolder(path: string): Promise<Pick<ModelFolder, "config">> {
  const folder = await openModel(path);
  await folder.close();
  return folder;
}

/**
 * How a solver reads rows.
 *
 * @throws {SettingsError} when a context is asked for that is longer than what the model reads.
 */
export function encodingOf(
  { model, tokenizer, template }: Solver,
  { context, longRows }: { readonly context: number | null; readonly longRows: TaskEncoding["longRows"] },
): TaskEncoding {
  return { tokenizer, template, context: longestContext(context, model.body.settings.context), longRows };
}

/** BERT's tokenizer frames texts as they were in pretraining. */
function encoderSolver(model: EncoderTaskModel, read: Tokenizer): Solver {
  const tokenizer = paddedWith(read, model.body.settings.padding);
  return {
    model,
    storage: encoderStorage(model),
    tokenizer,
    template: tokenizer,
    files: () => tokenizerFiles(tokenizer),
    isEnlarged: false,
  };
}

function solverOf(model: DecoderTaskModel, family: ModelFamily, read: Tokenizer): Solver {
  const { tokens: framing } = model.description;
  const storage = decoderStorage(family, model);
  // With `extract` at the end of every input, the end of text is padding that none ends with.
  const tokenizer = framing ? paddedWith(read, read.endOfText ?? read.idOf(framing.start)) : read;
  if (!framing) {
    const files = (): TokenizerFiles => tokenizerFiles(tokenizer);
    return { model, storage, tokenizer, template: tokenizer, files, isEnlarged: false };
  }
  const piece = (token: string) => ({ token, ids: [tokenizer.idOf(token) ?? 0], typeId: 0 });
  const { start, delimiter, extract } = framing;
  const [a, b] = [
    { sequence: "A", typeId: 0 },
    { sequence: "B", typeId: 0 },
  ] as const;
  // A Llama's texts begin with a token of their own; a model that was trained here names it and `start` in its file.
  const opening = boundsOf(tokenizer)
    .before.map((id) => tokenizer.tokenOf(id) ?? "")
    .filter((token) => token !== start)
    .map(piece);
  const template = new SequenceTemplate(
    [...opening, piece(start), a, piece(extract)],
    [...opening, piece(start), a, piece(delimiter), b, piece(extract)],
  );
  const files = (): TokenizerFiles => filesWith(template, tokenizer);
  return { model, storage, tokenizer, template, files, isEnlarged: false };
}

/** The same tokenizer with `id` as its padding, where it names none. */
function paddedWith(tokenizer: Tokenizer, id: number | null): Tokenizer {
  const token = id === null ? null : tokenizer.tokenOf(id);
  if (token === null || tokenizer.roles.pad !== undefined) return tokenizer;
  return tokenizer.withSpecialTokens([token], { pad: token });
}

function filesWith(template: SequenceTemplate, tokenizer: Tokenizer): TokenizerFiles {
  const files = tokenizerFiles(tokenizer);
  const json = { ...tokenizer.toJson(), post_processor: template.toJson() };
  const config = {
    ...(JSON.parse(files["tokenizer_config.json"] ?? "{}") as object),
    tokenizer_class: "PreTrainedTokenizerFast",
  };
  const text = (value: object): string => `${JSON.stringify(value, null, 2)}\n`;
  return { ...files, "tokenizer.json": text(json), "tokenizer_config.json": text(config) };
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
  const larger = await resizeVocabulary(family, model, tokenizer.vocabularySize);
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
