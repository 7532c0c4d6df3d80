import type { ScoredToken } from "../generate/sequence-request.ts";
import type { PlacedToken } from "./answer-writer.ts";
import { lengthOf } from "./answer-writer.ts";
import type { Completion, CompletionLogprobs } from "./answers.ts";
import type { EncodedPrompt } from "./prompt-text.ts";
import type { TextEvent, TextEvents } from "./text-events.ts";
import { completionLogprobs, joinLogprobs, offsetsOf, promptLogprobs } from "./token-logprobs.ts";
import type { TokenTexts } from "./token-texts.ts";

/** A prompt, as it was given and as the model reads it. */
export interface GivenPrompt extends EncodedPrompt {
  /** As a text; null where it is given as ids. */
  readonly text: string | null;
}

/** What of a request says what a completion looks like. */
export interface CompletionForm {
  readonly n: number;
  readonly best_of: number | null;
  readonly echo: boolean;
  readonly logprobs: number | null;
  readonly max_tokens: number;
  readonly stream_options: { readonly include_usage: boolean } | null;
}

type Head = Omit<Completion, "choices" | "usage">;
type Choice = Completion["choices"][number];

/** What stands before an answer. */
interface Echo {
  readonly text: string;
  readonly logprobs: CompletionLogprobs | null;
}

/** A prompt's text, its length in code points, and where its tokens begin in it. */
interface PromptSpelling {
  readonly text: string;
  readonly length: number;
  readonly offsets: readonly number[];
}

/** One answer as it grows. */
interface Written {
  text: string;
  readonly tokens: PlacedToken[];
  finish: Choice["finish_reason"];
}

/** Completions as OpenAI's interface writes them: piece by piece, or as a whole made of the same pieces. */
export class CompletionText {
  readonly #prompts: readonly GivenPrompt[];
  readonly #texts: TokenTexts;
  readonly #form: CompletionForm;
  readonly #head: Head;
  readonly #scored = new Map<number, readonly (ScoredToken | null)[]>();
  readonly #spellings = new Map<number, PromptSpelling>();

  constructor(prompts: readonly GivenPrompt[], texts: TokenTexts, form: CompletionForm, head: Head) {
    this.#prompts = prompts;
    this.#texts = texts;
    this.#form = form;
    this.#head = head;
  }

  /** Pieces of a stream, in the order in which they come to be. */
  async *chunks(events: TextEvents): AsyncGenerator<Completion, void, undefined> {
    const hasUsage = this.#form.stream_options?.include_usage === true;
    const begun = new Set<number>();
    for await (const event of events) {
      const choices = event.type === "prompt" ? this.#scoredPrompt(event) : this.#pieces(event, begun);
      for (const choice of choices) yield { ...this.#head, choices: [choice], ...(hasUsage ? { usage: null } : {}) };
    }
    if (hasUsage) yield { ...this.#head, choices: [], usage: events.usage };
  }

  /** Keeps the scores of a prompt; they are all there is to say where nothing is generated. */
  #scoredPrompt({ task, tokens }: Extract<TextEvent, { type: "prompt" }>): Choice[] {
    const { n, max_tokens: maxTokens } = this.#form;
    this.#scored.set(task, tokens);
    return maxTokens > 0 ? [] : Array.from({ length: n }, (_, copy) => this.#promptAlone(task, copy));
  }

  #pieces({ task, copy, piece }: Extract<TextEvent, { type: "piece" }>, begun: Set<number>): Choice[] {
    const index = task * this.#form.n + copy;
    const isFirst = this.#form.echo && !begun.has(index);
    begun.add(index);
    const echo: Choice[] = isFirst ? [{ index, ...this.#echo(task), finish_reason: null }] : [];
    const hasTokens = this.#form.logprobs !== null && piece.tokens.length > 0;
    if (piece.text === "" && piece.finish === null && !hasTokens) return echo;
    const logprobs = this.#logprobs(task, piece.tokens);
    return [...echo, { index, text: piece.text, logprobs, finish_reason: piece.finish }];
  }

  /** The whole answer. */
  async whole(events: TextEvents): Promise<Completion> {
    const written = new Map<string, Written>();
    for await (const event of events) this.#add(event, written);
    const choices = this.#prompts.flatMap((_, task) => this.#choices(task, written));
    return { ...this.#head, choices, usage: events.usage };
  }

  #add(event: TextEvent, written: Map<string, Written>): void {
    if (event.type === "prompt") {
      this.#scoredPrompt(event);
      return;
    }
    const { task, copy, piece } = event;
    const key = `${task} ${copy}`;
    const own = written.get(key) ?? { text: "", tokens: [], finish: null };
    own.text += piece.text;
    own.tokens.push(...piece.tokens);
    own.finish = piece.finish;
    written.set(key, own);
  }

  /** The answers to a prompt: all of them in order, or the likeliest. */
  #choices(task: number, written: ReadonlyMap<string, Written>): Choice[] {
    const { n, best_of: bestOf, echo, max_tokens: maxTokens } = this.#form;
    if (maxTokens === 0) return Array.from({ length: n }, (_, copy) => this.#promptAlone(task, copy));
    const all = Array.from({ length: bestOf ?? n }, (_, copy) => written.get(`${task} ${copy}`) ?? nothing);
    const best = bestOf !== null && bestOf > n ? all.toSorted((a, b) => meanOf(b) - meanOf(a)) : all;
    return best.slice(0, n).map(({ text, tokens, finish }, copy) => {
      const answer = { text, logprobs: this.#logprobs(task, tokens) };
      const whole = echo ? joined(this.#echo(task), answer) : answer;
      return { index: task * n + copy, ...whole, finish_reason: finish };
    });
  }

  #promptAlone(task: number, copy: number): Choice {
    const { n, echo, logprobs } = this.#form;
    const none = logprobs === null ? null : { tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] };
    const alone = echo ? this.#echo(task) : { text: "", logprobs: none };
    return { index: task * n + copy, ...alone, finish_reason: "length" };
  }

  #echo(task: number): Echo {
    const prompt = this.#prompts[task] as GivenPrompt;
    const { text, offsets } = this.#promptText(task);
    const scored = this.#scored.get(task);
    const { logprobs } = this.#form;
    const own = logprobs === null || !scored ? null : promptLogprobs(prompt.ids, scored, offsets, this.#texts);
    return { text, logprobs: own };
  }

  #promptText(task: number): PromptSpelling {
    const known = this.#spellings.get(task);
    if (known) return known;
    const { ids, text: given, added } = this.#prompts[task] as GivenPrompt;
    const spelled = offsetsOf(ids, added, this.#texts);
    const text = given ?? spelled.text;
    const spelling = { text, length: lengthOf(text), offsets: spelled.offsets };
    this.#spellings.set(task, spelling);
    return spelling;
  }

  #logprobs(task: number, tokens: readonly PlacedToken[]): CompletionLogprobs | null {
    const { logprobs, echo } = this.#form;
    if (logprobs === null) return null;
    const from = echo ? this.#promptText(task).length : 0;
    return completionLogprobs(tokens, this.#texts, from);
  }
}

const nothing: Written = { text: "", tokens: [], finish: "length" };

function joined(echo: Echo, { text, logprobs }: Echo): Echo {
  return {
    text: echo.text + text,
    logprobs: echo.logprobs && logprobs ? joinLogprobs(echo.logprobs, logprobs) : logprobs,
  };
}

/** Mean log-probability of a token. */
function meanOf({ tokens }: Written): number {
  const sum = tokens.reduce((total, { scored }) => total + (scored.logprob ?? 0), 0);
  return tokens.length === 0 ? Number.NEGATIVE_INFINITY : sum / tokens.length;
}
