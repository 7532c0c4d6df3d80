import { join } from "node:path";
import { openMachine } from "../../backend/machine-settings.ts";
import { Random } from "../../core/random.ts";
import { evaluationWindows } from "../../data/evaluation-windows.ts";
import { preparePretraining } from "../../data/prepare.ts";
import { denseRanks } from "../../data/rankings.ts";
import { readVerses } from "../../data/recipes/verses.ts";
import { defaultTokenCache } from "../../data/token-cache.ts";
import { writeFileAtomic } from "../../files/atomic-write.ts";
import { makeFolder } from "../../files/make-folder.ts";
import type { Assistant } from "../../generate/assistant.ts";
import { openAssistant } from "../../generate/assistant.ts";
import { SamplingSettings } from "../../generate/sampling.ts";
import { parameters } from "../../nn/parameters.ts";
import { sampleAnswers } from "../../train/sample-answers.ts";
import { dpo } from "../dpo.ts";
import { ppo } from "../ppo.ts";
import { reward } from "../reward.ts";
import type { StageResult, Watcher } from "../run-stage.ts";
import { sft } from "../sft.ts";
import type { Standing } from "./compare.ts";
import { compareModels } from "./compare.ts";
import { kindness } from "./kindness.ts";
import { runBetween, runLeg } from "./leg.ts";
import type { VerseRequest } from "./verse-requests.ts";
import { verseRequests } from "./verse-requests.ts";

/** What the second half of the road starts from. */
export interface Alignment {
  /** Folder of the pretrained model. */
  readonly base: string;
  /** Folder for data and runs. */
  readonly output: string;
  /** Text that the model was pretrained on, for the pretraining term, and text of the same kind held out from it. */
  readonly text: string;
  readonly heldOutText: string;
  readonly seed: number;
  readonly threads: number;
  readonly matmulPrecision: "float32" | "bfloat16";
  /** Goes on with what an earlier call left unfinished in `output`. */
  readonly resume?: boolean;
  /** How much of each stage is done, 1 for all of it: less is for tests. */
  readonly scale?: number;
  /** Watches one stage. */
  readonly watch?: (stage: string) => Watcher;
}

/** Where the road ends. */
export interface Aligned {
  /** Final model folders by name, in the order of the road: base, SFT, PPO, DPO. */
  readonly models: Readonly<Record<"base" | "sft" | "ppo" | "dpo", string>>;
  readonly standings: readonly Standing[];
  /** The held-out requests that all models answered. */
  readonly prompts: readonly string[];
  /** What each stage reported. */
  readonly results: Readonly<Record<"sft" | "reward" | "ppo" | "dpo", StageResult>>;
}

const temperature = 0.8;
const maxNewTokens = 48;
const answersToRank = 4;
/** What the judge says of an answer that does not end: less than of any that does. */
const unfinished = -100;
/** Prompts that are answered to be ranked, at least, and rankings below which answers that do not end are told apart too. */
const [fewestPrompts, fewestRankings] = [32, 8];

/**
 * From a language model to an assistant: supervised fine-tuning on requests for verses, rankings by a judge in place of
 * people, then a reward model with PPO, and DPO on the same rankings; ends with all models compared on held-out requests.
 */
export async function align(road: Alignment): Promise<Aligned> {
  const at = (name: string): string => join(road.output, name);
  const scaled = (steps: number): number => Math.max(1, Math.round(steps * (road.scale ?? 1)));
  const { seed, threads, matmulPrecision } = road;
  const common = { seed, threads, matmulPrecision, resume: road.resume ?? false, longRows: "skip" };
  const travel: typeof runLeg = (stage, settings) => runLeg(stage, settings, road.watch?.(stage.name) ?? {});
  await makeFolder(road.output);
  const { training, heldOut } = requestsOf(seed);
  await writeRows(at("talks.jsonl"), training);
  await writeRows(at("held-out-talks.jsonl"), heldOut.slice(0, scaled(200)));

  const taught = sft.settings.parse({
    ...{ ...common, model: road.base, output: at("sft"), data: [at("talks.jsonl")], steps: scaled(300) },
    ...{ validation: [at("held-out-talks.jsonl")], chatTemplate: "chatml", batchSize: 16, learningRate: 1e-3 },
    ...{ schedule: "cosine", warmupSteps: 20, maxNewTokens },
  });
  const results = { sft: await travel(sft, taught) };

  // Answers are ranked to some prompts; PPO learns on others.
  const prompts = training.map(({ prompt }) => ({ prompt }));
  const ranked = prompts.slice(0, Math.max(fewestPrompts, scaled(1000)));
  const judging = (): Promise<object[]> => judge(road, at("sft/final"), ranked);
  await writeRows(at("rankings.jsonl"), await runBetween("answers were judged", signalOf(road), judging));
  await writeRows(at("prompts.jsonl"), prompts.slice(ranked.length, ranked.length + scaled(4000)));

  const judged = reward.settings.parse({
    ...{ ...common, model: at("sft/final"), output: at("reward"), data: [at("rankings.jsonl")], steps: scaled(120) },
    ...{ batchSize: 16, learningRate: 5e-4, schedule: "cosine", warmupSteps: 10 },
  });
  const rewarded = { ...results, reward: await travel(reward, judged) };

  const tried = ppo.settings.parse({
    ...{ ...common, model: at("sft/final"), reward: at("reward/final"), output: at("ppo"), steps: scaled(30) },
    ...{ prompts: [at("prompts.jsonl")], answers: 64, batchSize: 32, miniBatches: 2, ppoEpochs: 2, maxNewTokens },
    ...{ temperature, learningRate: 1e-4, criticLearningRate: 3e-4, klCoefficient: 0.4, warmupSteps: 2 },
    ...{ klTarget: 6, klHorizon: 320 },
    ...{ pretrainCoefficient: 0.5, pretrainData: [road.text] },
  });
  const learned = { ...rewarded, ppo: await travel(ppo, tried) };

  const preferred = dpo.settings.parse({
    ...{ ...common, model: at("sft/final"), output: at("dpo"), data: [at("rankings.jsonl")], steps: scaled(120) },
    ...{ batchSize: 16, learningRate: 5e-5, beta: 0.1, schedule: "cosine", warmupSteps: 10 },
  });
  const all = { ...learned, dpo: await travel(dpo, preferred) };

  const models = { base: road.base, sft: at("sft/final"), ppo: at("ppo/final"), dpo: at("dpo/final") };
  const asked = heldOut.slice(0, scaled(400)).map(({ prompt }) => prompt);
  const comparing = (): Promise<Standing[]> => compare(road, models, asked);
  const standings = await runBetween("the models were compared", signalOf(road), comparing);
  return { models, results: all, prompts: asked, standings };
}

function signalOf({ watch }: Alignment): AbortSignal | undefined {
  return watch?.("compare").signal;
}

/** Requests in a random order; those of held-out chapters apart. */
function requestsOf(seed: number): { training: VerseRequest[]; heldOut: VerseRequest[] } {
  const verses = readVerses();
  const shuffled = (isHeldOut: boolean): VerseRequest[] => {
    const own = new Set(verses.filter((verse) => verse.isHeldOut === isHeldOut).map(({ text }) => text));
    const requests = verseRequests(verses, seed).filter(({ completion }) => own.has(completion));
    return Array.from(new Random(seed).permutation(requests.length), (i) => requests[i] as VerseRequest);
  };
  return { training: shuffled(false), heldOut: shuffled(true) };
}

/** Some answers to each prompt, ranked by how kind they are. Prompts whose answers all tie say nothing and are left out. */
async function judge(
  road: Alignment,
  folder: string,
  prompts: readonly { readonly prompt: string }[],
): Promise<object[]> {
  const { seed, threads, matmulPrecision, watch } = road;
  const backend = await openMachine({ threads, matmulPrecision }, { note: (line) => watch?.("sample").note?.(line) });
  const { model, encoder } = await openAssistant(folder, backend);
  const encoded = prompts.flatMap(({ prompt }) => {
    const ids = encoder.encodePrompt([{ role: "user", content: prompt }]);
    return Array.from({ length: answersToRank }, () => ids);
  });
  const sampling = SamplingSettings.parse({ temperature });
  const { tokenizer } = encoder;
  const endTokens = encoder.endTokens();
  const options = { sampling, maxNewTokens, batchSize: 64, seed, endTokens, tokenizer, signal: signalOf(road) };
  const answers = await sampleAnswers(model, encoded, options);
  for (const parameter of parameters(model).values()) parameter.release();
  const texts = answers.map(({ answer, ended }) => {
    return { text: tokenizer.decode(answer, { skipSpecialTokens: true }), ended };
  });
  const rows = rankingsOf(prompts, texts, () => unfinished);
  // A model that has learned little ends few of its answers.
  if (rows.length >= fewestRankings) return rows;
  return rankingsOf(prompts, texts, (text) => unfinished + kindness(text));
}

/** The answers to each prompt in their order; `ofUnfinished` judges those that do not end. */
function rankingsOf(
  prompts: readonly { readonly prompt: string }[],
  answers: readonly { readonly text: string; readonly ended: boolean }[],
  ofUnfinished: (text: string) => number,
): object[] {
  return prompts.flatMap(({ prompt }, i) => {
    const own = answers.slice(i * answersToRank, (i + 1) * answersToRank).map(({ text, ended }) => {
      return { text, score: ended ? kindness(text) : ofUnfinished(text) };
    });
    const distinct = [...new Map(own.map((answer) => [answer.text, answer])).values()];
    const said = distinct.filter(({ text }) => text.trim() !== "");
    const [completions, scores] = [said.map(({ text }) => text), said.map(({ score }) => score)];
    if (new Set(scores).size < 2) return [];
    return [{ prompt, completions, ranks: denseRanks(scores.map((score) => -score)) }];
  });
}

async function compare(
  road: Alignment,
  models: Readonly<Record<string, string>>,
  prompts: readonly string[],
): Promise<Standing[]> {
  const { seed, threads, matmulPrecision, heldOutText, output, watch, scale = 1 } = road;
  const signal = signalOf(road);
  const backend = await openMachine({ threads, matmulPrecision }, { note: (line) => watch?.("compare").note?.(line) });
  const text = async ({ model, encoder }: Assistant) => {
    const { training, close } = await preparePretraining({
      ...{ data: [heldOutText], validationFraction: 0, tokenizer: encoder.tokenizer },
      ...{ cacheFolder: defaultTokenCache(output), signal },
    });
    const files = training.map(({ file }) => file);
    const { context } = model.settings;
    const batches = [...evaluationWindows({ files, context, maxTokens: Math.ceil(64 * scale) * context }).batches(16)];
    close();
    return batches;
  };
  const sampling = SamplingSettings.parse({ temperature });
  return compareModels(models, "sft", { prompts, text, sampling, maxNewTokens, batchSize: 64, seed, signal }, backend);
}

async function writeRows(path: string, rows: readonly object[]): Promise<void> {
  await writeFileAtomic(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
}
