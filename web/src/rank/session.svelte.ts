import type {
  NextQuestion,
  RankingTasks,
  SavedRankingAnswer,
  UndoneRanking,
} from "../../../src/serve/api/feedback-answers.ts";
import { announce } from "../announce.svelte.ts";
import { messageOf, RequestError, requestJson } from "../api.ts";
import { newId } from "../new-id.ts";
import { queryValue, setQuery } from "../route.svelte.ts";
import { readStored, store } from "../stored.ts";
import type { Order } from "./order.ts";
import { missing, noOrder, written } from "./order.ts";

type Question = NonNullable<NextQuestion["question"]>;

/** Something done, that can be taken back: a ranking saved under an id, or a question skipped (no id). */
interface Step {
  readonly id: string | null;
  readonly index: number;
  readonly ticket: string;
  readonly order: Order;
}

/** A ranking on its way to the server; sent again under its id until there is an answer. */
interface Decision {
  readonly task: string;
  readonly ticket: string;
  readonly index: number;
  readonly order: Order;
  readonly id: string;
  readonly rater: string;
  readonly seconds: number;
}

/** What was saved last, with who wrote the answers. */
export interface Revealed {
  readonly order: Order;
  readonly models: readonly string[] | null;
}

/** Steps that can be taken back. */
const mostSteps = 100;
const retryMs = 2000;
/** This tab, so that no other is shown the same question. */
const page = readStored(sessionStorage, "rank.page", () => newId());

/**
 * Somebody ranking the answers of a task. Where they are stands in the address, what is not saved yet in the tab's storage:
 * a refresh loses nothing.
 */
export class RankingSession {
  tasks: RankingTasks | null = $state.raw(null);
  question: Question | null = $state.raw(null);
  prompts = $state(0);
  ranked = $state(0);
  order: Order = $state.raw(noOrder);
  last: Revealed | null = $state.raw(null);
  /** Why nothing goes on; "" where it does. */
  trouble = $state("");
  isBusy = $state(true);
  /** How many rankings were saved: what depends on them is looked at again. */
  saved = $state(0);
  #steps: Step[] = $state.raw(readStored<Step[]>(sessionStorage, "rank.steps", () => []));
  #pending = readStored<Decision | null>(sessionStorage, "rank.pending", () => null);
  #start = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  /** Is aborted when the page is left. */
  readonly #left = new AbortController();

  get task(): string {
    return queryValue("task", this.tasks?.tasks[0]?.name ?? "");
  }

  get rater(): string {
    return readStored(localStorage, "rank.rater", () => "");
  }

  set rater(name: string) {
    store(localStorage, "rank.rater", name.trim());
  }

  get missing(): string {
    return this.question === null ? "" : missing(this.order, this.question.answers.length);
  }

  get canUndo(): boolean {
    return this.#steps.length > 0;
  }

  /** Begins, or goes on where one was. */
  async start(): Promise<void> {
    await this.#whileBusy(async () => {
      this.tasks = await requestJson<RankingTasks>("api/rankings", { signal: this.#left.signal });
      if (this.#pending !== null) await this.#send();
      if (this.task !== "") await this.#look(Number(queryValue("from", "0")) || 0);
    });
  }

  /** Takes another task, from its beginning. */
  async choose(task: string): Promise<void> {
    setQuery({ task, from: null });
    this.#keepSteps([]);
    await this.#whileBusy(() => this.#look(0));
  }

  /** Changes the order that is being made. */
  set(order: Order): void {
    this.order = order;
    store(sessionStorage, "rank.draft", { ticket: this.question?.ticket, order });
  }

  async save(): Promise<void> {
    const { question } = this;
    if (question === null || this.isBusy) return;
    if (this.missing !== "") {
      announce(this.missing);
      return;
    }
    const seconds = (performance.now() - this.#start) / 1000;
    const { ticket, index } = question;
    const { task, order, rater } = this;
    await this.#whileBusy(async () => {
      this.#keepPending({ task, ticket, index, order, id: newId(), rater, seconds });
      await this.#send();
      await this.#look(index + 1);
    });
  }

  async skip(): Promise<void> {
    const { question } = this;
    if (question === null || this.isBusy) return;
    await this.#whileBusy(async () => {
      this.#keepSteps([...this.#steps, { id: null, index: question.index, ticket: question.ticket, order: noOrder }]);
      await this.#look(question.index + 1);
    });
  }

  /** Goes back to the question before, and takes its ranking away if it was saved. */
  async undo(): Promise<void> {
    const step = this.#steps.at(-1);
    if (this.isBusy) return;
    if (step === undefined) {
      announce("There is nothing to take back.");
      return;
    }
    await this.#whileBusy(async () => {
      if (step.id !== null)
        await requestJson<UndoneRanking>("api/rankings/undo", { body: { id: step.id }, signal: this.#left.signal });
      this.#keepSteps(this.#steps.slice(0, -1));
      this.last = null;
      this.saved += 1;
      await this.#look(step.index);
      if (this.question?.ticket === step.ticket) this.set(step.order);
    });
  }

  /** Begins again with what was skipped. */
  async again(): Promise<void> {
    await this.#whileBusy(() => this.#look(0));
  }

  /** Tries again what failed. */
  async retry(): Promise<void> {
    clearTimeout(this.#retry);
    await this.start();
  }

  /** The page is left: what is under way neither tries again nor changes the address of another page. */
  stop(): void {
    clearTimeout(this.#retry);
    this.#left.abort();
  }

  async #send(): Promise<void> {
    const decision = this.#pending;
    if (decision === null) return;
    const { index: _, order, ...body } = decision;
    try {
      const answer = await requestJson<SavedRankingAnswer>("api/rankings", {
        body: { ...body, order: written(order) },
        signal: this.#left.signal,
      });
      this.last = { order, models: answer.models };
      this.saved += 1;
      const { id, index, ticket } = decision;
      if (answer.isSaved) this.#keepSteps([...this.#steps, { id, index, ticket, order }]);
      announce(answer.isSaved ? "Saved." : "These answers were ranked in another window already.");
    } catch (error) {
      if (!(error instanceof RequestError) || canWait(error)) throw error;
      this.#keepPending(null); // it will never be taken
      throw error;
    }
    this.#keepPending(null);
  }

  async #look(from: number): Promise<void> {
    const query = new URLSearchParams({ task: this.task, from: String(from), rater: this.rater, page });
    const { question, prompts, ranked } = await requestJson<NextQuestion>(`api/rankings/next?${query}`, {
      signal: this.#left.signal,
    });
    const draft = readStored<{ ticket?: string; order: Order } | null>(sessionStorage, "rank.draft", () => null);
    this.order = question !== null && draft?.ticket === question.ticket ? draft.order : noOrder;
    Object.assign(this, { question, prompts, ranked });
    this.#start = performance.now();
    setQuery({ from: question === null ? String(from) : String(question.index) });
    announce(question === null ? "There is nothing more to rank." : `Prompt ${question.index + 1} of ${prompts}.`);
  }

  async #whileBusy(body: () => Promise<void>): Promise<void> {
    this.isBusy = true;
    try {
      await body();
      this.trouble = "";
    } catch (error) {
      if (this.#left.signal.aborted) return; // what was not saved is sent when the page is opened again
      this.trouble = messageOf(error);
      if (error instanceof RequestError && canWait(error)) this.#retry = setTimeout(() => void this.retry(), retryMs);
    } finally {
      this.isBusy = false;
    }
  }

  #keepPending(decision: Decision | null): void {
    this.#pending = decision;
    store(sessionStorage, "rank.pending", decision);
  }

  #keepSteps(steps: Step[]): void {
    this.#steps = steps.slice(-mostSteps);
    store(sessionStorage, "rank.steps", this.#steps);
  }
}

/** Whether the same may go well later: the server is away, stops, or another process has the file. */
function canWait({ status, code }: RequestError): boolean {
  return status === 0 || status >= 500 || code === "file_unusable";
}
