import type { ChosenToken, TokenChoice } from "../backend/token-choice.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { CacheType } from "../nn/key-value-cache.ts";
import { checkedRequest } from "./check-request.ts";
import type { RequestState } from "./continuation.ts";
import { Continuation } from "./continuation.ts";
import type { PassPart } from "./decoder.ts";
import { Decoder } from "./decoder.ts";
import type { AnswerGrammar } from "./grammar/answer-grammar.ts";
import type { EngineEvent, EngineState, SequenceRequest, TokenGuide } from "./sequence-request.ts";
import { SlotTable } from "./slot-table.ts";
import type { TokenNames } from "./spare-rows.ts";
import { nameableTokens } from "./spare-rows.ts";
import { planStep } from "./step-plan.ts";
import { WaitingLine } from "./waiting-line.ts";

/** Size and rules of an {@link Engine}. */
export interface EngineOptions {
  /** Sequences under way at one time. */
  readonly slots: number;
  /** Positions that each has room for; at most the model's context. */
  readonly capacity: number;
  /** How keys and values are kept; default: float32. */
  readonly cacheType?: CacheType | undefined;
  /** What may be drawn: ids that it has a token for. Every row of the model's embedding when left out. */
  readonly tokenizer?: TokenNames | undefined;
  /**
   * Makes what holds one continuation to a grammar; of the tokens that end it, one may come where it is whole. Requests
   * with a grammar are refused without.
   */
  readonly guideOf?: ((grammar: AnswerGrammar, endTokens: readonly number[]) => TokenGuide) | undefined;
}

/** A row of logits of a pass: of whom, and whether it scores a token of the prompt, and which. */
interface Row {
  readonly continuation: Continuation;
  readonly given: number | null;
}

/**
 * Continues many prompts side by side. Sequences come and go between the steps, each with its own sampling, seed and ends;
 * what one says does not depend on the others. A sequence has its slot for as long as it may get: none is ever cut short
 * for another.
 */
export class Engine {
  readonly #model: LanguageModel;
  readonly #options: EngineOptions;
  readonly #decoder: Decoder;
  readonly #slots: SlotTable;
  readonly #waiting = new WaitingLine();
  /** In the order in which they took their slots. */
  #running: Continuation[] = [];
  readonly #requests = new Map<number, RequestState>();
  readonly #nameable: Int32Array | null;
  /** Since the last step began. */
  #cancelled: { readonly id: number; readonly copy: number | undefined }[] = [];
  readonly #counts = { promptTokens: 0, cachedTokens: 0, generatedTokens: 0, batchRows: 0 };

  /** @throws {MemoryError} when there is no memory for so many slots. */
  constructor(model: LanguageModel, options: EngineOptions) {
    this.#model = model;
    this.#options = options;
    this.#decoder = new Decoder(model, options.slots, options.capacity, options.cacheType);
    this.#slots = new SlotTable(this.#decoder, options.slots);
    this.#nameable = nameableTokens(options.tokenizer, model.settings.vocabularySize);
  }

  /**
   * Takes a request; its continuations wait until slots are free.
   *
   * @throws {SettingsError} naming what can't be: an id that is under way, tokens that are none, too little room.
   */
  add(request: SequenceRequest): void {
    const state = checkedRequest(request, {
      ...{ vocabularySize: this.#model.settings.vocabularySize, capacity: this.#options.capacity },
      ...{ isUnderWay: this.#requests.has(request.id), canGuide: this.#options.guideOf !== undefined },
    });
    const { grammar, copies, endTokens } = request;
    const newGuide = (): TokenGuide | null => (grammar && this.#options.guideOf?.(grammar, endTokens)) ?? null;
    const guides = Array.from({ length: copies }, newGuide);
    this.#requests.set(request.id, state);
    guides.forEach((guide, copy) => {
      this.#waiting.push(new Continuation(state, copy, guide));
    });
  }

  /** Ends a request, or one of its copies. Nothing more is heard of it; what is unknown is left alone. */
  cancel(id: number, copy?: number): void {
    const state = this.#requests.get(id);
    if (!state) return;
    this.#cancelled.push({ id, copy });
    for (const own of copy === undefined ? [...state.copies] : [copy]) state.copies.delete(own);
    // Copies that wait for a prompt whose reader has left read it themselves.
    if (!state.copies.has(0)) state.isRead = true;
    if (state.copies.size === 0) this.#requests.delete(id);
  }

  /** Whether a step would do anything. */
  get isIdle(): boolean {
    return this.#requests.size === 0;
  }

  /** How busy it is. */
  state(): EngineState {
    const waiting = this.#waiting.all().filter(isWanted);
    return {
      ...{ slots: this.#options.slots, slotsBusy: this.#slots.busy, waiting: waiting.length },
      busy: this.#running.flatMap(({ slot, copy, of }) =>
        slot === null ? [] : [{ slot, id: of.request.id, copy, tokens: this.#decoder.length(slot) }],
      ),
      waitingTokens: waiting.reduce((sum, { needs }) => sum + needs, 0),
      ...this.#counts,
    };
  }

  /**
   * One pass of the model: what was cancelled leaves, who waits takes free slots, and each sequence gets a token, or reads
   * on in its prompt. Only one step may be under way.
   */
  async step(): Promise<EngineEvent[]> {
    this.#cancelled = [];
    this.#dismiss();
    const started = this.#admit();
    if (this.#running.length === 0) return started;
    const events = [...started, ...(await this.#advance())];
    const cancelled = this.#cancelled; // meanwhile
    return events.filter(
      (event) =>
        event.type === "failed" ||
        !cancelled.some(
          ({ id, copy }) => id === event.id && (copy === undefined || (event.type === "token" && copy === event.copy)),
        ),
    );
  }

  /** Gives the memory back. */
  release(): void {
    this.#decoder.release();
  }

  /** Lets those go who were cancelled. */
  #dismiss(): void {
    this.#waiting.remove((continuation) => !isWanted(continuation));
    for (const continuation of this.#running) if (!isWanted(continuation)) this.#vacate(continuation);
    this.#running = this.#running.filter(isWanted);
  }

  #vacate(continuation: Continuation): void {
    if (continuation.slot !== null) this.#slots.giveBack(continuation.slot);
    continuation.slot = null;
  }

  /** Gives free slots to those who wait. */
  #admit(): EngineEvent[] {
    const events: EngineEvent[] = [];
    while (this.#slots.hasFree) {
      const next = this.#waiting.next();
      if (!next) break;
      const { request, prompt } = next.of;
      // The last token is read in any case, for what follows it; all of them are where they are scored.
      const most = next.scoresPrompt || this.#model.readsPrefix ? 0 : prompt.length - 1;
      const { slot, known } = this.#slots.take(request.owner, next.tokens, most);
      next.slot = slot;
      this.#running.push(next);
      if (next.copy > 0) continue;
      this.#counts.promptTokens += prompt.length;
      this.#counts.cachedTokens += known;
      events.push({ type: "started", id: request.id, cachedTokens: known });
    }
    return events;
  }

  async #advance(): Promise<EngineEvent[]> {
    const { parts, rows, finished } = this.#plan();
    if (parts.length === 0) return []; // all of them are still being prepared
    this.#counts.batchRows = parts.reduce((sum, { tokens }) => sum + tokens.length, 0);
    const chosen = await this.#decoder.pass(parts, (logits, first) => {
      const choices = rows.slice(first, first + logits.axis(0)).map((row) => this.#choiceOf(row));
      return this.#model.backend.chooseTokens(logits, choices);
    });
    rows.forEach(({ continuation: { of }, given }, i) => {
      if (given !== null && of.scores.length < of.prompt.length) of.scores.push(chosen[i] as ChosenToken);
    });
    const events = finished.flatMap((continuation) => this.#endPrompt(continuation));
    rows.forEach(({ continuation, given }, i) => {
      if (given === null) events.push(...this.#take(continuation, chosen[i] as ChosenToken));
    });
    return events;
  }

  /** What each sequence adds to the next pass, the rows whose logits count, and whose prompt ends with it. */
  #plan(): { parts: PassPart[]; rows: Row[]; finished: Continuation[] } {
    const [parts, rows, finished]: [PassPart[], Row[], Continuation[]] = [[], [], []];
    const lengths = this.#running.map(({ slot }) => (slot === null ? 0 : this.#decoder.length(slot)));
    const pending = this.#running.map(({ tokens, of }, i) => ({
      tokens: tokens.length - (lengths[i] ?? 0),
      isReading: tokens.length === of.prompt.length,
    }));
    const counts = planStep(pending, this.#model.readsPrefix ?? false);
    const until = performance.now() + preparationMs;
    this.#running.forEach((continuation, i) => {
      const [start, count] = [lengths[i] ?? 0, counts[i] ?? 0];
      const { tokens, of, slot } = continuation;
      if (count === 0 || slot === null) return;
      const end = start + count;
      const draws = end === tokens.length && of.request.maxNewTokens > 0;
      if (draws && !continuation.isGuided(until)) return; // it goes on in a later pass
      const own = rowsOf(continuation, start, end, draws);
      rows.push(...own);
      // Where nothing follows the prompt, its last row tells of nothing.
      const first = continuation.scoresPrompt && start < of.prompt.length ? 0 : count - 1;
      parts.push({ slot, tokens: tokens.slice(start, end), first, rows: own.length });
      if (end === of.prompt.length) finished.push(continuation);
    });
    return { parts, rows, finished };
  }

  #choiceOf({ continuation, given }: Row): TokenChoice {
    return given === null ? continuation.nextChoice(this.#nameable) : continuation.scored(given);
  }

  /** A prompt has been read. */
  #endPrompt(continuation: Continuation): EngineEvent[] {
    const { of } = continuation;
    const { id, maxNewTokens, promptLogprobs } = of.request;
    of.isRead = true;
    if (continuation.copy > 0 || !isWanted(continuation)) return [];
    if (of.scores.some((score) => score?.token === -1)) return this.#fail(continuation, notNumbers);
    if (maxNewTokens === 0) this.#finish(continuation);
    return maxNewTokens === 0 || promptLogprobs ? [{ type: "prompt", id, tokens: of.scores }] : [];
  }

  /** Gives a sequence its next token. */
  #take(continuation: Continuation, token: ChosenToken): EngineEvent[] {
    const { of, copy } = continuation;
    if (!isWanted(continuation)) return [];
    if (continuation.misfit !== null) return this.#fail(continuation, continuation.misfit);
    if (token.token < 0) return this.#fail(continuation, notNumbers);
    const finish = continuation.accept(token);
    this.#counts.generatedTokens += 1;
    if (finish) this.#finish(continuation);
    return [{ type: "token", id: of.request.id, copy, token, finish }];
  }

  #fail({ of }: Continuation, message: string): EngineEvent[] {
    this.cancel(of.request.id);
    return [{ type: "failed", id: of.request.id, message }];
  }

  #finish(continuation: Continuation): void {
    this.#vacate(continuation);
    this.#running = this.#running.filter((other) => other !== continuation);
    const { copies, request } = continuation.of;
    copies.delete(continuation.copy);
    if (copies.size === 0) this.#requests.delete(request.id);
  }
}

/** The rows of tokens `start` … `end` that count: those that score what follows in a prompt, and one that draws. */
function rowsOf(continuation: Continuation, start: number, end: number, draws: boolean): Row[] {
  const { scoresPrompt, tokens, of } = continuation;
  const given = scoresPrompt && start < of.prompt.length ? tokens.slice(start + 1, end + 1) : [];
  const rows: Row[] = given.map((token) => ({ continuation, given: token }));
  return draws ? [...rows, { continuation, given: null }] : rows;
}

/** How long the others wait in a step for what may come next to be worked out. */
const preparationMs = 8;

const notNumbers = "generate: the model gives NaN instead of logits; its weights are damaged";

/** Whether somebody still waits for it. */
function isWanted({ of, copy }: Continuation): boolean {
  return of.copies.has(copy);
}
