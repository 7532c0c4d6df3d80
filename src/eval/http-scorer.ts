import { z } from "zod";
import { UnsupportedError } from "../core/errors.ts";
import type { ContinuationRequest, Likelihood, LikelihoodRequest, Report, Scorer } from "./scorer.ts";

/** What a server's answer must hold for a text to be scored. */
const Completion = z.object({
  choices: z
    .array(
      z.object({
        index: z.number().optional(),
        text: z.string(),
        logprobs: z
          .object({
            text_offset: z.array(z.number()),
            token_logprobs: z.array(z.number().nullable()),
            top_logprobs: z.array(z.record(z.string(), z.number()).nullable()).nullish(),
          })
          .nullish(),
      }),
    )
    .min(1),
});
type Choice = z.output<typeof Completion>["choices"][number];

/** How to reach a server. */
export interface HttpScorerOptions {
  /** Up to and without `/completions`: `http://127.0.0.1:8000/v1`. */
  readonly baseUrl: string;
  readonly model: string;
  readonly apiKey: string | null;
  readonly seed: number;
}

/**
 * Asks any server with OpenAI's completions interface that returns the log-probabilities of the prompt (`echo` with
 * `logprobs`). The server's own tokens decide; one that lies across the end of the context counts as continuation.
 */
export class HttpScorer implements Scorer {
  readonly name: string;
  readonly maxLength = null;
  readonly parameterCount = null;
  readonly cutRequests = 0;
  readonly #options: HttpScorerOptions;

  constructor(options: HttpScorerOptions) {
    this.name = options.model;
    this.#options = options;
  }

  async likelihoods(requests: readonly LikelihoodRequest[], report: Report): Promise<Likelihood[][]> {
    const out: Likelihood[][] = [];
    for (const { context, continuations } of requests) {
      const choices = await this.#echo(continuations.map((continuation) => context + continuation));
      out.push(
        choices.map((choice, i) => scoreOf(choice, context.length, context.length + (continuations[i] ?? "").length)),
      );
      report(out.length);
    }
    return out;
  }

  async textLikelihoods(texts: readonly string[], report: Report): Promise<number[]> {
    const out: number[] = [];
    for (const text of texts) {
      const [choice] = await this.#echo([text]);
      out.push(choice ? scoreOf(choice, 0, text.length).logProb : Number.NaN);
      report(out.length);
    }
    return out;
  }

  async continuations(requests: readonly ContinuationRequest[], report: Report): Promise<string[]> {
    const out: string[] = [];
    for (const { context, until, maxNewTokens, sampling } of requests) {
      const { temperature, topP } = sampling;
      const [choice] = await this.#complete({
        ...{ prompt: context, max_tokens: maxNewTokens, temperature, top_p: topP },
        ...(until.length > 0 ? { stop: until.slice(0, 4) } : {}),
      });
      const text = choice?.text ?? "";
      const ends = until.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
      out.push(ends.length > 0 ? text.slice(0, Math.min(...ends)) : text);
      report(out.length);
    }
    return out;
  }

  async #echo(prompt: readonly string[]): Promise<Choice[]> {
    return this.#complete({ prompt, max_tokens: 1, temperature: 0, logprobs: 1, echo: true });
  }

  async #complete(body: object): Promise<Choice[]> {
    const { baseUrl, model, apiKey, seed } = this.#options;
    const url = `${baseUrl.replace(/\/$/, "")}/completions`;
    const headers = { "content-type": "application/json", ...(apiKey ? { authorization: `Bearer ${apiKey}` } : {}) };
    const { status, text } = await post(url, headers, JSON.stringify({ model, seed, ...body }));
    if (status < 200 || status > 299) {
      throw new UnsupportedError(`${url}: answers ${status}: ${text.slice(0, 300)}; ${adviceOn(status)}`);
    }
    const parsed = Completion.safeParse(parseJson(text));
    if (!parsed.success) {
      throw new UnsupportedError(
        `${url}: its answer is no completion: ${text.slice(0, 120)}; is it an OpenAI-compatible server?`,
      );
    }
    return parsed.data.choices.toSorted((a, b) => (a.index ?? 0) - (b.index ?? 0));
  }
}

async function post(
  url: string,
  headers: Record<string, string>,
  body: string,
): Promise<{ status: number; text: string }> {
  const failed = (what: string, error: unknown): UnsupportedError => {
    const reason = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    const message = `${url}: ${what} (${reason}); check the address and that the server runs`;
    return new UnsupportedError(message, { cause: error });
  };
  const response = await fetch(url, { method: "POST", headers, body }).catch((error: unknown) => {
    throw failed("cannot be reached", error);
  });
  const text = await response.text().catch((error: unknown) => {
    throw failed("its answer broke off", error);
  });
  return { status: response.status, text };
}

function adviceOn(status: number): string {
  if (status === 401 || status === 403) return "check the key";
  if (status === 404) return "check the model's name and the address";
  if (status === 400)
    return "it says why; likely a prompt is longer than the model reads, or it lacks echo with logprobs";
  return status >= 500 ? "the server failed; look at its log, or try again" : "check address, model and key";
}

/** Sum over the tokens that begin before `end` and end behind `start`, both in characters of the prompt. */
function scoreOf({ logprobs }: Choice, start: number, end: number): Likelihood {
  if (!logprobs) {
    throw new UnsupportedError(
      "eval: the server returns no log-probabilities of the prompt; it must support echo together with logprobs",
    );
  }
  const { text_offset: offsets, token_logprobs: values, top_logprobs: top } = logprobs;
  let [logProb, isGreedy] = [0, true];
  for (const [i, offset] of offsets.entries()) {
    const next = offsets[i + 1] ?? Number.POSITIVE_INFINITY;
    const value = values[i];
    if (offset >= end || next <= start || value === null || value === undefined) continue;
    logProb += value;
    if (value < Math.max(...Object.values(top?.[i] ?? {}))) isGreedy = false;
  }
  return { logProb, isGreedy };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
