import { createHash } from "node:crypto";
import { formatBytes } from "../core/byte-size.ts";
import type { BusySlot, EngineEvent, EngineState } from "../generate/sequence-request.ts";
import { encoderIn } from "../models/encoder-in.ts";
import { ApiError } from "./api-error.ts";
import { Engine } from "./engine.ts";
import type { EngineStart, OpenedModel } from "./engine-messages.ts";
import { patience } from "./limits.ts";
import type { Metrics } from "./metrics.ts";
import type { FoundModel, ModelSource } from "./model-source.ts";
import { findModel } from "./model-source.ts";
import { Pace } from "./pace.ts";
import { PromptText } from "./prompt-text.ts";
import type { QueueLimits } from "./slot-queue.ts";
import { SlotQueue } from "./slot-queue.ts";

/** How models are run. */
export type EngineSettings = Pick<EngineStart, "slots" | "threads" | "weights" | "context" | "cacheBytes">;

/** What a model needs of the server around it. */
export interface ModelHost {
  readonly engine: EngineSettings;
  readonly limits: QueueLimits;
  readonly metrics: Metrics;
  /** Makes room in memory before a model is opened. */
  readonly makeRoom: (model: ServedModel, bytes: number) => void;
  /** Is told what whoever runs the server should know. */
  readonly note: (line: string) => void;
}

/** A model that can be asked. */
interface ReadyModel {
  readonly engine: Engine;
  readonly opened: OpenedModel;
}

/** A model by its name: opened when it is first asked for, again when its engine was lost, closed when others need the memory. */
export class ServedModel {
  readonly name: string;
  readonly queue: SlotQueue;
  /** When it was last asked. */
  lastUsed = 0;
  #users = 0;
  /** When it was last looked for newer weights. */
  #lastLook = 0;
  #found: FoundModel;
  #text: Promise<PromptText> | null = null;
  #opening: Promise<ReadyModel> | null = null;
  #ready: ReadyModel | null = null;
  #engine: Engine | null = null;
  #busySlots: readonly BusySlot[] = [];
  readonly #source: ModelSource;
  readonly #host: ModelHost;
  readonly #pace = new Pace();

  constructor(source: ModelSource, found: FoundModel, host: ModelHost) {
    this.name = source.name;
    this.#source = source;
    this.#found = found;
    this.#host = host;
    this.queue = new SlotQueue(
      host.limits,
      () => this.#pace.tokensPerSecond,
      () => this.#ready !== null,
    );
  }

  get found(): FoundModel {
    return this.#found;
  }

  get opened(): OpenedModel | null {
    return this.#ready?.opened ?? null;
  }

  /** Who is in which slot. */
  get busySlots(): readonly BusySlot[] {
    return this.#busySlots;
  }

  /** Slots that it has once it is open. */
  get slots(): number {
    return this.#host.limits.slots;
  }

  /** Tokens a second of late, read and written. */
  get tokensPerSecond(): number {
    return this.#pace.tokensPerSecond;
  }

  get isStuck(): boolean {
    return this.#engine?.isStuck ?? false;
  }

  /** Requests that hold on to it. */
  get users(): number {
    return this.#users;
  }

  /** Keeps it open until the function that this gives is called. */
  hold(): () => void {
    let isHeld = true;
    this.#users += 1;
    return () => {
      if (isHeld) this.#users -= 1;
      isHeld = false;
    };
  }

  get isOpen(): boolean {
    return this.#engine !== null;
  }

  /** Process id of its engine, for whoever watches. */
  get pid(): number | null {
    return this.#engine?.pid ?? null;
  }

  /** Bytes that it takes, or would if it were open. */
  get bytes(): number {
    return this.#ready?.opened.bytes ?? this.#found.bytes + this.#host.engine.cacheBytes;
  }

  /** Names the weights and the program: answers with another one may differ for the same seed. */
  get fingerprint(): string {
    const { path, created } = this.#found;
    return `fp_${createHash("sha256").update(`${path} ${created} ${this.#host.engine.weights}`).digest("hex").slice(0, 12)}`;
  }

  /**
   * What its texts are read and written with.
   *
   * @throws {ApiError} 500 when the tokenizer or the chat template is damaged.
   */
  async text(): Promise<PromptText> {
    this.#text ??= encoderIn(this.#found.path).then((encoder) => PromptText.of(encoder));
    try {
      return await this.#text;
    } catch (error) {
      this.#text = null; // a file may be mended meanwhile
      throw unusable(error);
    }
  }

  /** Its engine, while there is one that can be asked. */
  get engine(): Engine | null {
    return this.#ready?.engine ?? null;
  }

  /**
   * What is known of it, once it is open; it is opened where it is not.
   *
   * @throws {ApiError} 429 when too many wait for that already, 503 when there is no memory or it takes too long.
   */
  async ready(): Promise<OpenedModel> {
    this.lastUsed = performance.now();
    if (this.#ready) return this.#ready.opened;
    const { slots, queue } = this.#host.limits;
    if (this.#users > slots + queue) throw this.#loading(429, "queue_full", "too many requests wait for it already");
    this.#opening ??= this.#open();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, fail) => {
      const giveUp = (): void => fail(this.#loading(503, "loading", `it takes more than ${patience.queueMs / 1000} s`));
      timer = setTimeout(giveUp, patience.queueMs);
    });
    try {
      return (await Promise.race([this.#opening, late])).opened;
    } finally {
      clearTimeout(timer);
    }
  }

  #loading(status: number, code: string, why: string): ApiError {
    return new ApiError(status, `model ${this.name} is being opened, and ${why}; try again later`, {
      code,
      retryAfter: 5,
    });
  }

  /** Takes the newest weights of a run under way, if nobody uses the ones that are open. */
  async refresh(): Promise<void> {
    const isRun = this.#found.path !== this.#source.path;
    if (!isRun || this.#users > 0 || performance.now() - this.#lastLook < lookEveryMs) return;
    this.#lastLook = performance.now();
    const found = await findModel(this.#source).catch(() => this.#found); // what is open goes on being served
    if (this.#users > 0 || (found.path === this.#found.path && found.created === this.#found.created)) return;
    this.#host.note(`${this.name}: ${found.path} is newer`);
    this.close();
    void this.#text?.then((text) => text.close()).catch(() => {}); // whoever asked for it heard of it
    this.#text = null;
    this.#found = found;
  }

  /** Ends its engine; requests under way are told so. */
  close(reason = "was ended"): void {
    this.#engine?.end(reason);
  }

  async #open(): Promise<ReadyModel> {
    const { path, kind, bytes } = this.#found;
    const settings = this.#host.engine;
    try {
      this.#host.makeRoom(this, bytes + settings.cacheBytes);
      const engine = new Engine(
        { path, kind, ...settings },
        { step: (events, state) => this.#step(events, state), lost: (reason) => this.#lost(reason) },
      );
      this.#engine = engine;
      const opened = await engine.ready;
      this.#ready = { engine, opened };
      for (const line of opened.notes) this.#host.note(line);
      const size = `${formatBytes(opened.bytes)}, ${opened.context} tokens a sequence`;
      this.#host.note(`${this.name}: opened by process ${engine.pid}, ${size}`);
      this.queue.advance();
      return this.#ready;
    } catch (error) {
      this.#opening = null;
      const refusal = error instanceof ApiError ? error : unusable(error);
      this.queue.clear(refusal);
      throw refusal;
    }
  }

  #step(events: readonly EngineEvent[], state: EngineState): void {
    const { metrics } = this.#host;
    this.#busySlots = state.busy;
    this.#pace.count(state.promptTokens + state.generatedTokens);
    const tokens = events.filter(({ type }) => type === "token").length;
    if (tokens > 0) metrics.batchRows.observe(tokens);
    metrics.generatedTokens.add(tokens);
  }

  #lost(reason: string): void {
    const wasReady = this.#ready !== null;
    this.#engine = null;
    this.#ready = null;
    this.#opening = null;
    this.#busySlots = [];
    this.#pace.restart();
    if (!wasReady || reason === "was ended") return;
    this.#host.metrics.engineFailures.add(1);
    this.#host.note(`${this.name}: its engine ${reason}; it is started again`);
    if (this.queue.waiting > 0) void this.ready().catch(() => {}); // whoever waits hears of it
  }
}

/** How often a run under way is looked at, at most. */
const lookEveryMs = 2000;

function unusable(error: unknown): ApiError {
  const reason = error instanceof Error ? error.message : String(error);
  return new ApiError(500, `the model cannot be opened: ${reason}`, { code: "model_unusable" });
}
