import { SettingsError } from "../core/errors.ts";
import type { RequestState } from "./continuation.ts";
import type { SequenceRequest } from "./sequence-request.ts";
import { leastPrefix } from "./slot-table.ts";
import { refuseOtherIds } from "./token-lists.ts";

/** What an engine can take. */
export interface EngineLimits {
  readonly vocabularySize: number;
  readonly capacity: number;
  /** Whether a request of the same id is. */
  readonly isUnderWay: boolean;
  /** Whether it knows what to do with a grammar. */
  readonly canGuide: boolean;
}

/**
 * A request that was found to be possible, with what all its copies share.
 *
 * @throws {SettingsError} naming what is not.
 */
export function checkedRequest(request: SequenceRequest, limits: EngineLimits): RequestState {
  const { id, copies, maxNewTokens, endTokens, sampling } = request;
  const prompt = [...request.prompt];
  if (limits.isUnderWay) refuse(`a request with the id ${id} is under way; give each one of its own`);
  if (!isCount(copies) || copies === 0) refuse(`${copies} continuations were asked for; at least 1 is needed`);
  if (!isCount(maxNewTokens)) refuse(`maxNewTokens is ${maxNewTokens}; it must be a whole number, at least 0`);
  if (prompt.length === 0) refuse("the prompt has no tokens; give it at least one, such as the end-of-text token");
  refuseOtherIds("the prompt", prompt, limits.vocabularySize);
  const needed = prompt.length + Math.max(maxNewTokens - 1, 0);
  if (needed > limits.capacity) {
    refuse(
      `${prompt.length} tokens and ${maxNewTokens} new ones need ${needed} positions, a slot has ${limits.capacity}; ` +
        "shorten the prompt, or ask for fewer",
    );
  }
  const bias = Object.entries(sampling.logitBias ?? {}).map(([token, amount]) => [Number(token), amount] as const);
  refuseOtherIds(
    "logitBias",
    bias.map(([token]) => token),
    limits.vocabularySize,
  );
  if (request.grammar && !limits.canGuide) refuse("nothing is known here about grammars; leave it out");
  if (request.grammar && endTokens.length === 0) refuse("a grammar needs tokens that end what matches it; give some");
  return {
    ...{ request, prompt, ends: new Set(endTokens), isRead: prompt.length <= leastPrefix, scores: [null] },
    copies: new Set(Array(maxNewTokens === 0 ? 1 : copies).keys()),
    bias: {
      ids: Int32Array.from(bias, ([token]) => token),
      amounts: Float64Array.from(bias, ([, amount]) => amount),
    },
  };
}

function isCount(value: number): boolean {
  return Number.isInteger(value) && value >= 0;
}

function refuse(what: string): never {
  throw new SettingsError(`engine: ${what}`);
}
