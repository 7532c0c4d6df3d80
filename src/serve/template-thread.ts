import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { DataError } from "../core/errors.ts";
import { ApiError } from "./api-error.ts";
import { mostTemplates, patience } from "./limits.ts";
import type { FromTemplate, TemplateAnswers, TemplateStart, ToTemplate } from "./template-messages.ts";

/** The program of the thread: compiled beside this file, or the source itself. */
const program = fileURLToPath(
  new URL(`./template-worker.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`, import.meta.url),
);

/** Memory that a template may take, in MiB. */
const mostMemory = 256;

interface Asker {
  readonly question: ToTemplate;
  readonly answer: (answer: TemplateAnswers[keyof TemplateAnswers]) => void;
  readonly fail: (error: Error) => void;
}

/**
 * The chat template of a model in a thread of its own, one conversation after the other. A template that takes too long is
 * ended with its thread; who waits behind it gets another one.
 */
export class TemplateThread {
  readonly #start: TemplateStart;
  #worker: Worker | null = null;
  #isReady = false;
  #isClosed = false;
  #asked: Asker | null = null;
  readonly #waiting: Asker[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(start: TemplateStart) {
    this.#start = start;
  }

  /**
   * Asks the template.
   *
   * @throws {DataError} when it refuses, takes too long, or too much memory.
   * @throws {ApiError} 429 when too many wait for it.
   */
  ask<Kind extends keyof TemplateAnswers>(
    question: ToTemplate & { readonly kind: Kind },
  ): Promise<TemplateAnswers[Kind]> {
    if (this.#waiting.length >= mostTemplates) throw tooMany();
    return new Promise<TemplateAnswers[keyof TemplateAnswers]>((answer, fail) => {
      this.#waiting.push({ question, answer, fail });
      this.#advance();
    }) as Promise<TemplateAnswers[Kind]>;
  }

  /** Ends the thread as soon as nobody waits for it. */
  close(): void {
    this.#isClosed = true;
    this.#advance();
  }

  #advance(): void {
    if (this.#asked) return;
    if (this.#waiting.length === 0) {
      if (this.#isClosed) this.#end();
      return;
    }
    this.#worker ??= this.#open();
    if (!this.#isReady) return;
    this.#asked = this.#waiting.shift() ?? null;
    this.#timer = setTimeout(() => this.#end(`takes more than ${patience.templateMs} ms`), patience.templateMs);
    this.#worker.postMessage(this.#asked?.question);
  }

  #open(): Worker {
    const worker = new Worker(program, {
      workerData: this.#start,
      resourceLimits: { maxOldGenerationSizeMb: mostMemory },
      stdout: true, // a thread has nothing to print
    });
    worker.on("message", (said: FromTemplate) => {
      if (worker === this.#worker) this.#hear(said);
    });
    worker.on("error", (error) => {
      if (worker !== this.#worker) return;
      const isMemory = "code" in error && error.code === "ERR_WORKER_OUT_OF_MEMORY";
      this.#end(isMemory ? `takes more than ${mostMemory} MiB of memory` : `cannot be run (${error.message})`);
    });
    worker.unref(); // at the end: a listener that is added holds the process again
    return worker;
  }

  #hear(said: FromTemplate): void {
    if (said.type === "ready") this.#isReady = true;
    else {
      const asked = this.#settle();
      if (said.type === "answer") asked?.answer(said.answer);
      else asked?.fail(said.isRefusal ? new DataError(said.message) : new Error(said.message));
    }
    this.#advance();
  }

  /** Ends the thread, and tells whoever had asked it why; where it has not begun, whoever waits for that. */
  #end(reason = "was ended"): void {
    const worker = this.#worker;
    this.#worker = null;
    const asked = this.#isReady ? this.#settle() : this.#waiting.shift();
    this.#isReady = false;
    void worker?.terminate();
    asked?.fail(new DataError(`chat template: ${reason}; change the conversation, or use another template`));
    if (worker) this.#advance();
  }

  #settle(): Asker | null {
    clearTimeout(this.#timer);
    const asked = this.#asked;
    this.#asked = null;
    return asked;
  }
}

function tooMany(): ApiError {
  return new ApiError(429, `${mostTemplates} conversations wait for the model's chat template; try again later`, {
    code: "queue_full",
    retryAfter: 1,
  });
}
