import { z } from "zod";
import { postJson } from "./http-post.ts";
import type { RemoteServer } from "./remote-server.ts";
import { limitsOf, parseJson, requestTo, TooLongError } from "./remote-server.ts";

/** A prompt as the server's own tokens, and how many of them it takes. */
export interface PromptIds {
  readonly ids: readonly number[];
  /** Tokens that the server puts before the text. */
  readonly prefix: number;
  /** What the model reads, with what it writes, in tokens. */
  readonly context: number;
}

const Tokenized = z.object({ tokens: z.array(z.int().nonnegative()), max_model_len: z.int().positive().nullish() });

/**
 * Tokens of a prompt that a server refused for its length, from `/tokenize`, which stands beside `/v1`.
 *
 * @param refusal - What the server said.
 * @throws {NetworkError} the refusal, where the server gives no tokens, or does not tell how many it takes.
 */
export async function promptIds(server: RemoteServer, prompt: string, refusal: TooLongError): Promise<PromptIds> {
  const [whole, bare] = [await tokenized(server, prompt, true), await tokenized(server, prompt, false)];
  const context = refusal.context ?? whole?.max_model_len ?? null;
  if (whole === null || context === null || context < 3) throw refusal;
  const prefix = Math.max(0, whole.tokens.length - (bare?.tokens.length ?? whole.tokens.length));
  return { ids: whole.tokens, prefix, context };
}

async function tokenized(
  server: RemoteServer,
  prompt: string,
  isWhole: boolean,
): Promise<z.output<typeof Tokenized> | null> {
  const root = { ...server, baseUrl: server.baseUrl.replace(/\/+$/, "").replace(/\/v1$/, "") };
  const { status, text } = await postJson(
    requestTo(root, "tokenize", { prompt, add_special_tokens: isWhole }),
    limitsOf(server),
  );
  return status === 200 ? (Tokenized.safeParse(parseJson(text)).data ?? null) : null;
}

/**
 * What `ask` gives, or `askAnew` where the server says that the prompt is longer than its model reads.
 *
 * @throws {NetworkError} every other refusal.
 */
export async function orWhereTooLong<Result>(
  ask: () => Promise<Result>,
  askAnew: (refusal: TooLongError) => Promise<Result>,
): Promise<Result> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof TooLongError)) throw error;
    return askAnew(error);
  }
}
