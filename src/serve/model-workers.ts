import process from "node:process";
import type { Backend } from "../backend/kernels.ts";
import { watchAttention } from "../backend/watch-attention.ts";
import { SettingsError, UnsupportedError } from "../core/errors.ts";
import { embedInputs } from "../generate/embed.ts";
import { openEmbedder } from "../generate/embedder.ts";
import { Engine } from "../generate/engine.ts";
import { matchersFor } from "../generate/grammar/grammar-matcher.ts";
import { TokenVocabulary } from "../generate/grammar/token-vocabulary.ts";
import { encoderIn } from "../models/encoder-in.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { loadModel } from "../models/load.ts";
import { listParameters } from "../models/parameter-list.ts";
import { modelPlacements, placementsOf } from "../models/read-model.ts";
import type { RewardModel } from "../models/reward-model.ts";
import { loadRewardModel } from "../models/reward-model.ts";
import { classifierPlacements } from "../models/sequence-classifier.ts";
import { withoutGradients } from "../tensor/op.ts";
import { tensorScope } from "../tensor/scope.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import type { EngineStart, FromEngine, OpenedModel, TextInput, ToEngine } from "./engine-messages.ts";
import type { Inspected } from "./inspection.ts";
import type { Inspectable } from "./inspector.ts";
import { attentionSize, Inspector } from "./inspector.ts";
import type { ModelKind } from "./model-kind.ts";

/** Computes what a model is asked, one step at a time. */
export interface Worker {
  take(message: ToEngine): void;
  readonly isIdle: boolean;
  /** Says what came of it; never fails. */
  step(): Promise<void>;
}

/** A worker and what is known of its model. */
interface OpenedWorker {
  readonly worker: Worker;
  readonly model: OpenedModel;
}

type Say = (message: FromEngine) => void;

const openers: Readonly<Record<ModelKind, (start: EngineStart, backend: Backend, say: Say) => Promise<OpenedWorker>>> =
  {
    decoder: openDecoder,
    embedder: openTexts,
    reward: openRewards,
  };

/**
 * Opens the model of an engine.
 *
 * @param say - Is told what comes of requests.
 * @throws {CheckpointError} when it is damaged.
 * @throws {MemoryError} when there is no memory for it.
 */
export function openWorker(start: EngineStart, backend: Backend, say: Say): Promise<OpenedWorker> {
  return openers[start.kind](start, backend, say);
}

async function openDecoder(start: EngineStart, backend: Backend, say: Say): Promise<OpenedWorker> {
  const encoder = await encoderIn(start.path);
  const { tokenizer } = encoder;
  const watched = watchAttention(backend);
  const { model, family } = await loadModel(start.path, watched.backend, start.weights);
  const perToken = bytesOfToken(model);
  const fitting = Math.max(256, Math.floor(start.cacheBytes / (start.slots * perToken)));
  const capacity = Math.min(model.settings.context, start.context ?? fitting);
  const { vocabularySize } = model.settings;
  const guideOf = matchersFor(tokenizer, vocabularySize, vocabularyOf(tokenizer, vocabularySize));
  const engine = new Engine(model, { slots: start.slots, capacity, tokenizer, guideOf });
  const parameters = listParameters(model, modelPlacements(family, model));
  return {
    worker: inspecting(generating(engine, say), { watched, parameters, body: model, writer: model, judge: null }, say),
    model: {
      bytes: process.memoryUsage.rss(),
      context: capacity,
      vocabularySize,
      notes: [],
      modules: null,
      attention: attentionSize(model),
    },
  };
}

/** The tokens as grammars read them, made while nobody waits; null where they are no bytes, which a grammar is refused for. */
function vocabularyOf(tokenizer: Tokenizer, rows: number): TokenVocabulary | null {
  try {
    return new TokenVocabulary(tokenizer, rows);
  } catch (error) {
    if (error instanceof UnsupportedError) return null;
    throw error;
  }
}

/** Bytes of keys and values of a token. */
function bytesOfToken(model: LanguageModel): number {
  const cache = model.newCache(1, 1);
  const { layers, width } = cache.shape;
  cache.release();
  return 2 * layers * width * 4;
}

function generating(engine: Engine, say: Say): Worker {
  let hasNews = false; // who was cancelled leaves in a step, even if that has nothing else to do
  return {
    take(message) {
      hasNews = true;
      if (message.type === "cancel") engine.cancel(message.id, message.copy ?? undefined);
      if (message.type !== "generate") return;
      try {
        engine.add(message.request);
      } catch (error) {
        say({ type: "refused", id: message.request.id, ...reasonOf(error) });
      }
    },
    get isIdle() {
      return engine.isIdle && !hasNews;
    },
    async step() {
      hasNews = false;
      const events = await engine.step();
      say({ type: "step", events, state: engine.state() });
    },
  };
}

async function openTexts(start: EngineStart, backend: Backend, say: Say): Promise<OpenedWorker> {
  const watched = watchAttention(backend);
  const { model, maxLength } = await openEmbedder(start.path, watched.backend);
  const vectors = (inputs: readonly TextInput[]): Promise<Float32Array[]> =>
    embedInputs(
      model,
      inputs.map((input) => ({ ...input, tokens: input.ids.length })),
    );
  const body = model.body.model;
  const parameters = listParameters(body, placementsOf(model.body.bindings()));
  return {
    worker: inspecting(reading(vectors, say), { watched, parameters, body, writer: null, judge: null }, say),
    model: {
      bytes: process.memoryUsage.rss(),
      context: maxLength,
      vocabularySize: body.settings.vocabularySize,
      notes: [],
      modules: model.modules,
      attention: attentionSize(body),
    },
  };
}

async function openRewards(start: EngineStart, backend: Backend, say: Say): Promise<OpenedWorker> {
  const watched = watchAttention(backend);
  const { model, family } = await loadRewardModel(start.path, watched.backend, null, { weights: start.weights });
  const { body } = model;
  const { context, vocabularySize } = body.settings;
  const rewards = async (inputs: readonly TextInput[]): Promise<Float32Array[]> => {
    const vectors: Float32Array[] = [];
    for (const { ids } of inputs) vectors.push(await rewardOf(model, ids));
    return vectors;
  };
  const parameters = listParameters(model, classifierPlacements(family, body, model.score));
  return {
    worker: inspecting(reading(rewards, say), { watched, parameters, body, writer: null, judge: model }, say),
    model: {
      ...{ bytes: process.memoryUsage.rss(), context, vocabularySize, notes: [], modules: null },
      attention: attentionSize(body),
    },
  };
}

/** The number at a text's last token. One text at a time, so that it does not depend on the others. */
async function rewardOf(model: RewardModel, ids: Int32Array): Promise<Float32Array> {
  const scores = withoutGradients(() =>
    tensorScope(() => model.scores(Tensor.from(model.backend, ids, [1, ids.length]), Int32Array.of(ids.length - 1))),
  );
  const values = await scores.floats();
  scores.release();
  return values;
}

function reading(vectorsOf: (inputs: readonly TextInput[]) => Promise<Float32Array[]>, say: Say): Worker {
  let waiting: Extract<ToEngine, { type: "read" }>[] = [];
  return {
    take(message) {
      if (message.type === "read") waiting.push(message);
      if (message.type === "cancel") waiting = waiting.filter(({ id }) => id !== message.id);
    },
    get isIdle() {
      return waiting.length === 0;
    },
    async step() {
      const next = waiting.shift();
      if (next === undefined) return;
      try {
        say({ type: "vectors", id: next.id, vectors: await vectorsOf(next.inputs) });
      } catch (error) {
        say({ type: "refused", id: next.id, ...reasonOf(error) });
      }
    },
  };
}

/** A worker that also answers questions about its model: a step of an answer follows each step of its other work. */
function inspecting(worker: Worker, model: Inspectable, say: Say): Worker {
  const inspector = new Inspector(model);
  const waiting: { readonly id: number; readonly answer: AsyncGenerator<void, Inspected> }[] = [];
  const drop = (id: number): void => {
    const at = waiting.findIndex((one) => one.id === id);
    if (at >= 0) void waiting.splice(at, 1)[0]?.answer.return([]);
  };
  return {
    take(message) {
      if (message.type === "inspect") waiting.push({ id: message.id, answer: inspector.answer(message.question) });
      else worker.take(message);
      if (message.type === "cancel") drop(message.id);
    },
    get isIdle() {
      return worker.isIdle && waiting.length === 0;
    },
    async step() {
      if (!worker.isIdle) await worker.step();
      const [first] = waiting;
      if (first === undefined) return;
      const { id } = first;
      try {
        const { done, value } = await first.answer.next();
        if (!done) return say({ type: "working" });
        drop(id);
        say({ type: "inspected", id, answer: value });
      } catch (error) {
        drop(id);
        say({ type: "refused", id, ...reasonOf(error) });
      }
    },
  };
}

function reasonOf(error: unknown): { readonly message: string; readonly isOwnFault: boolean } {
  const message = error instanceof Error ? error.message : String(error);
  return { message, isOwnFault: error instanceof SettingsError };
}
