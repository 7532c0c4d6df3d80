import type { EngineEvent, SequenceRequest } from "../generate/sequence-request.ts";
import { ApiError } from "./api-error.ts";
import { EventQueue } from "./event-queue.ts";
import type { Metrics } from "./metrics.ts";
import type { UnderWay } from "./route.ts";
import type { ServedModel } from "./served-model.ts";

/** What one prompt of a request asks for. */
export type GenerationTask = Omit<SequenceRequest, "id" | "owner">;

/** What happened to one of the tasks. */
export type TaskEvent = Extract<EngineEvent, { type: "started" | "prompt" | "token" }> & { readonly task: number };

/** One task, and what has become of it. */
interface Part {
  readonly id: number;
  readonly task: number;
  readonly request: SequenceRequest;
  /** Copies that go on. */
  readonly left: Set<number>;
  /** When each copy had its last token, in milliseconds. */
  readonly lastToken: Map<number, number>;
  /** Tokens that each copy has so far. */
  readonly written: Map<number, number>;
  isStarted: boolean;
}

let lastId = 0;

/** What a generation needs of the server around it. */
export interface GenerationHost {
  readonly metrics: Metrics;
  /** All that go on, to be told when the server stops. */
  readonly active: Set<UnderWay>;
}

/** Whose request it is, and what its answer is called. */
export interface Requester {
  readonly owner: string;
  readonly id: string;
}

/** One of the sequences of a request that are not done. */
export interface SequenceStatus {
  /** By which the engine knows its prompt. */
  readonly part: number;
  readonly copy: number;
  readonly promptTokens: number;
  readonly newTokens: number;
  readonly mostNewTokens: number;
  readonly isStarted: boolean;
}

/** All that is generated for one request. Ends once: when all is said, when it is closed, or by a failure. */
export class Generation implements UnderWay {
  readonly #model: ServedModel;
  readonly #host: GenerationHost;
  readonly owner: string;
  /** What the answer is called, for those who see it. */
  readonly id: string;
  readonly #events = new EventQueue<TaskEvent>();
  readonly #parts: readonly Part[];
  readonly #release: () => void;
  readonly #asked = performance.now();
  #takeBack: () => void = () => {};
  #isOver = false;

  /**
   * Lets the tasks wait for their slots.
   *
   * @param release - Is called when all is over.
   * @throws {ApiError} 429 when the queue is full.
   */
  constructor(
    model: ServedModel,
    tasks: readonly GenerationTask[],
    { owner, id }: Requester,
    host: GenerationHost,
    release: () => void,
  ) {
    this.#model = model;
    this.#host = host;
    this.owner = owner;
    this.id = id;
    this.#release = release;
    this.#parts = tasks.map((task, index) => partOf(task, index, owner));
    host.active.add(this);
    try {
      this.#takeBack = model.queue.enter(
        this.#parts.map((part) => ({
          owner,
          sequences: part.left.size,
          tokens: part.request.prompt.length + part.left.size * part.request.maxNewTokens,
          start: () => this.#start(part),
          refuse: (error) => this.fail(error),
        })),
      );
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** What happens, until all is said. A failure comes as an error, an {@link ApiError}. */
  get events(): AsyncIterable<TaskEvent> {
    return this.#events;
  }

  /** Counts the requests of a server; higher ones came later. */
  get number(): number {
    return this.#parts[0]?.id ?? 0;
  }

  get model(): string {
    return this.#model.name;
  }

  /** Milliseconds since it was asked for. */
  get age(): number {
    return performance.now() - this.#asked;
  }

  /** What is under way. */
  sequences(): SequenceStatus[] {
    return this.#parts.flatMap(({ id, left, request, written, isStarted }) =>
      [...left].map((copy) => ({
        ...{ part: id, copy, promptTokens: request.prompt.length, isStarted },
        ...{ newTokens: written.get(copy) ?? 0, mostNewTokens: request.maxNewTokens },
      })),
    );
  }

  /** Ends one copy, before its next token. */
  cancel(task: number, copy: number): void {
    const part = this.#parts[task];
    if (this.#isOver || !part?.left.has(copy)) return;
    this.#model.engine?.cancel(part.id, copy);
    this.#leave(part, copy);
  }

  /** Ends all of it: whoever asked has gone, or has what was wanted. */
  close(): void {
    this.#end(null);
  }

  fail(error: ApiError): void {
    this.#end(error);
  }

  #start(part: Part): void {
    if (this.#isOver) return;
    part.isStarted = true;
    const { engine } = this.#model;
    engine?.generate(part.request, {
      event: (event) => this.#hear(part, event),
      failed: (error) => this.fail(error),
    });
  }

  #hear(part: Part, event: EngineEvent): void {
    if (this.#isOver) return;
    const { metrics } = this.#host;
    switch (event.type) {
      case "started":
        metrics.queued.observe((performance.now() - this.#asked) / 1000);
        metrics.promptTokens.add(part.request.prompt.length);
        metrics.cachedTokens.add(event.cachedTokens);
        this.#events.push({ ...event, task: part.task });
        break;
      case "prompt":
        this.#events.push({ ...event, task: part.task });
        if (part.request.maxNewTokens === 0) for (const copy of [...part.left]) this.#leave(part, copy);
        break;
      case "token":
        if (!part.left.has(event.copy)) return; // it was cancelled meanwhile
        this.#measure(part, event.copy);
        this.#events.push({ ...event, task: part.task });
        if (event.finish !== null) this.#leave(part, event.copy);
        break;
      default:
        this.fail(new ApiError(500, event.message, { code: "engine_failed" }));
    }
  }

  #measure(part: Part, copy: number): void {
    const now = performance.now();
    const before = part.lastToken.get(copy);
    const { metrics } = this.#host;
    if (before === undefined) metrics.firstToken.observe((now - this.#asked) / 1000);
    else metrics.betweenTokens.observe((now - before) / 1000);
    part.lastToken.set(copy, now);
    part.written.set(copy, (part.written.get(copy) ?? 0) + 1);
  }

  #leave(part: Part, copy: number): void {
    part.left.delete(copy);
    if (part.left.size === 0) this.#model.engine?.forget(part.id);
    this.#model.queue.leave(this.owner);
    if (this.#parts.every(({ left }) => left.size === 0)) this.#end(null);
  }

  #end(error: ApiError | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#takeBack();
    for (const part of this.#parts) {
      if (!part.isStarted || part.left.size === 0) continue;
      this.#model.engine?.cancel(part.id);
      this.#model.queue.leave(this.owner, part.left.size);
    }
    this.#events.end(error);
    this.#host.active.delete(this);
    this.#release();
  }
}

function partOf(task: GenerationTask, index: number, owner: string): Part {
  lastId += 1;
  const left = new Set(Array.from({ length: task.copies }, (_, copy) => copy));
  return {
    ...{ id: lastId, task: index, left, lastToken: new Map(), written: new Map(), isStarted: false },
    request: { ...task, id: lastId, owner },
  };
}
