import { existsSync, statSync } from "node:fs";
import { basename, dirname, extname, resolve } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { inspect } from "node:util";
import type { Backend } from "../backend/kernels.ts";
import { DataError, SettingsError } from "../core/errors.ts";
import type { EncodedPrompt } from "../data/encoded-rankings.ts";
import { readJsonObject } from "../files/json-file.ts";
import { refuseOtherTokenizer } from "../generate/assistant.ts";
import { encoderIn } from "../models/encoder-in.ts";
import { loadRewardModel } from "../models/reward-model.ts";
import { freeze } from "../nn/parameters.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import type { RewardedAnswer, RewardFunction } from "../train/reward-functions/reward-function.ts";
import { scoredReward } from "../train/reward-functions/scored-reward.ts";
import { exactReward, patternReward } from "../train/reward-functions/text-rewards.ts";

/** Which functions judge answers. */
export interface RewardSettings {
  /** `exact`, paths of JavaScript modules, and folders of reward models. */
  readonly reward: readonly string[];
  readonly rewardPattern: string | null;
  readonly rewardSchema: string | null;
  /** One for each of `reward`, then the pattern's and the schema's; empty for 1 each. */
  readonly rewardWeights: readonly number[];
  /** What of an answer `exact` compares. */
  readonly answerPattern: string | null;
  readonly batchSize: number;
}

/** What a module exports: a reward from what was asked, what was answered, and the row that asked. */
type RewardModule = (prompt: string, completion: string, row: Readonly<Record<string, unknown>>) => unknown;

/**
 * The functions that settings ask for, in their order.
 *
 * @throws {SettingsError} when there is none, their weights are of another number, or one cannot be opened.
 */
export async function openRewardFunctions(
  settings: RewardSettings,
  backend: Backend,
  tokenizer: Tokenizer,
): Promise<RewardFunction[]> {
  const { reward, rewardPattern, rewardSchema, rewardWeights, answerPattern } = settings;
  const count = reward.length + Number(rewardPattern !== null) + Number(rewardSchema !== null);
  if (count === 0) {
    throw new SettingsError("reward: nothing judges the answers; give --reward, --reward-pattern or --reward-schema");
  }
  if (rewardWeights.length > 0 && rewardWeights.length !== count) {
    throw new SettingsError(`reward-weights: are ${rewardWeights.length} for ${count} rewards; give one for each`);
  }
  if (answerPattern !== null && !reward.includes("exact")) {
    throw new SettingsError("answer-pattern: is for --reward exact, which is not asked for; leave it out");
  }
  const weightOf = (index: number): number => rewardWeights[index] ?? 1;
  const functions: RewardFunction[] = [];
  for (const [index, entry] of reward.entries()) {
    const weight = weightOf(index);
    if (entry === "exact")
      functions.push(
        exactReward(weight, answerPattern === null ? null : regularExpression("answer-pattern", answerPattern)),
      );
    else functions.push(await openEntry(entry, weight, settings, backend, tokenizer));
  }
  if (rewardPattern !== null) {
    functions.push(patternReward(weightOf(functions.length), regularExpression("reward-pattern", rewardPattern)));
  }
  if (rewardSchema !== null) {
    // Loading its validator takes a tenth of a second, which every command would pay.
    const { schemaReward } = await import("../train/reward-functions/schema-reward.ts");
    functions.push(schemaReward(weightOf(functions.length), await readJsonObject(rewardSchema), rewardSchema));
  }
  return withOwnNames(functions);
}

/** @throws {DataError} naming the first row without a column that a function needs. */
export function refuseMissingColumns(functions: readonly RewardFunction[], prompts: readonly EncodedPrompt[]): void {
  for (const { name, column } of functions) {
    const without = column === null ? undefined : prompts.find(({ row = {} }) => !(column in row));
    if (without)
      throw new DataError(`${without.where}: has no column "${column}", which the reward ${name} compares with`);
  }
}

async function openEntry(
  path: string,
  weight: number,
  { batchSize }: RewardSettings,
  backend: Backend,
  tokenizer: Tokenizer,
): Promise<RewardFunction> {
  if (!existsSync(path)) {
    throw new SettingsError(
      `reward: ${path} is neither exact nor a JavaScript module nor a reward model's folder; check it`,
    );
  }
  if (!statSync(path).isDirectory()) return moduleReward(path, weight);
  const { model } = await loadRewardModel(path, backend, null, { weights: "stored" });
  refuseOtherTokenizer(`reward model ${path}`, tokenizer, (await encoderIn(path)).tokenizer);
  const own = basename(resolve(path));
  const name = own === "final" ? basename(dirname(resolve(path))) : own;
  return scoredReward({ name, weight }, freeze(model), batchSize);
}

/** Calls a module's default export, or the one named `reward`, for each answer. */
async function moduleReward(path: string, weight: number): Promise<RewardFunction> {
  const judge = await importJudge(path);
  const name = basename(path, extname(path));
  const rewardOf = async (
    { question, completion, row, where }: RewardedAnswer,
    signal?: AbortSignal,
  ): Promise<number> => {
    let reward: unknown;
    try {
      reward = await settled(judge(question, completion, row), signal);
    } catch (error) {
      if (signal?.aborted && error === signal.reason) throw error;
      if (error instanceof NeverSettled) throw new DataError(`${path}: never answers for ${where}: ${error.message}`);
      const reason = error instanceof Error ? error.message : String(error);
      throw new DataError(`${path}: failed for an answer to ${where}: ${reason}`, { cause: error });
    }
    if (typeof reward === "number" || typeof reward === "boolean") return Number(reward);
    const shown = inspect(reward, { depth: 0, breakLength: Number.POSITIVE_INFINITY, maxStringLength: 60 });
    throw new DataError(`${path}: gave ${shown} for an answer to ${where}; return a number`);
  };
  return {
    ...{ name, weight, column: null },
    async rewards(answers, signal) {
      const rewards: number[] = [];
      for (const answer of answers) {
        signal?.throwIfAborted();
        rewards.push(await rewardOf(answer, signal));
      }
      return rewards;
    },
  };
}

/** A promise that nothing in this process will ever settle. */
class NeverSettled extends Error {
  override readonly message =
    "nothing is left to wait for that could settle its promise; return a number in every case";
}

/**
 * What a judge's promise comes to. Node ends in silence where nothing but a promise is left; here that is an error.
 *
 * @throws {unknown} the reason of `signal` when that is aborted first.
 */
async function settled(judgement: unknown, signal?: AbortSignal): Promise<unknown> {
  let stop: () => void = () => {};
  const stopped = new Promise<never>((_, reject) => {
    const giveUp = (): void => reject(new NeverSettled());
    const abort = (): void => reject(signal?.reason);
    process.once("beforeExit", giveUp);
    signal?.addEventListener("abort", abort, { once: true });
    stop = () => {
      process.off("beforeExit", giveUp);
      signal?.removeEventListener("abort", abort);
    };
  });
  return Promise.race([judgement, stopped]).finally(() => stop());
}

async function importJudge(path: string): Promise<RewardModule> {
  const loaded = (await import(pathToFileURL(resolve(path)).href).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SettingsError(`reward: ${path} cannot be imported: ${reason}`, { cause: error });
  })) as { readonly default?: unknown; readonly reward?: unknown };
  const judge = loaded.default ?? loaded.reward;
  if (typeof judge === "function") return judge as RewardModule;
  throw new SettingsError(`reward: ${path} exports no function; export default (prompt, completion, row) => a number`);
}

function regularExpression(flag: string, pattern: string): RegExp {
  try {
    return new RegExp(pattern, "su");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SettingsError(`${flag}: ${reason}`, { cause: error });
  }
}

/** The second of a name gets `-2` behind it, and so on. */
function withOwnNames(functions: readonly RewardFunction[]): RewardFunction[] {
  return functions.map((one, i) => {
    const before = functions.slice(0, i).filter(({ name }) => name === one.name).length;
    return before === 0 ? one : { ...one, name: `${one.name}-${before + 1}` };
  });
}
