import type { ChildProcess } from "node:child_process";
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { EngineEvent, EngineState, SequenceRequest } from "../generate/sequence-request.ts";
import { ApiError } from "./api-error.ts";
import type { EngineStart, FromEngine, OpenedModel, TextInput, ToEngine } from "./engine-messages.ts";
import type { Inspected, Question, Subject } from "./inspection.ts";
import { patience } from "./limits.ts";

/** Whoever asked for something, and waits for it. */
interface Asker {
  /** What happens to a request; of the last it is told with `failed`, or by what the last token says. */
  readonly event: (event: EngineEvent) => void;
  /** Is told the answer, where that is all that there is to say. */
  readonly answered: (answer: readonly Float32Array[] | Inspected) => void;
  readonly failed: (error: ApiError) => void;
}

/** What an engine reports beside the answers. */
export interface EngineWatcher {
  readonly step: (events: readonly EngineEvent[], state: EngineState) => void;
  /** It died or was stuck, and is gone. */
  readonly lost: (reason: string) => void;
}

/** The program of the process: compiled beside this file, or the source itself. */
const program = fileURLToPath(
  new URL(`./engine-process.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`, import.meta.url),
);

/**
 * A model that computes in a process of its own: whatever happens to that, the server goes on, and all of its memory comes
 * back when it ends.
 */
export class Engine {
  /** Resolves once the model is open. */
  readonly ready: Promise<OpenedModel>;
  readonly #child: ChildProcess;
  readonly #watcher: EngineWatcher;
  readonly #askers = new Map<number, Asker>();
  readonly #watch: NodeJS.Timeout;
  #lastSign = performance.now();
  #isOver = false;
  #isOpen = false;

  constructor(start: EngineStart, watcher: EngineWatcher) {
    this.#watcher = watcher;
    this.#child = fork(program, [JSON.stringify(start)], { serialization: "advanced", stdio: ["ignore", 2, 2, "ipc"] });
    this.ready = new Promise((open, fail) => {
      this.#child.on("message", (message) => {
        const said = message as FromEngine;
        if (said.type === "ready") {
          this.#isOpen = true;
          open(said.model);
        } else if (said.type === "unusable") fail(unusable(said.message));
        else this.#hear(said);
      });
      const lost = (reason: string): void => {
        fail(unusable(`its engine ${reason}`));
        this.#lose(reason);
      };
      this.#child.on("error", (error) => lost(`cannot be started (${error.message})`));
      this.#child.on("exit", (code, signal) => lost(signal ? `was ended by ${signal}` : `ended with code ${code}`));
    });
    this.ready.catch(() => {}); // whoever asks for it hears of it
    this.#watch = setInterval(() => this.#check(), patience.engineMs / 10);
    this.#watch.unref();
  }

  /** Process id; undefined when there is none. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Whether it has gone for good. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether it has work and has not shown a sign of life for too long. */
  get isStuck(): boolean {
    return this.#isOpen && this.#askers.size > 0 && performance.now() - this.#lastSign > patience.engineMs;
  }

  generate(request: SequenceRequest, asker: Pick<Asker, "event" | "failed">): void {
    this.#ask(request.id, { ...asker, answered: () => {} }, { type: "generate", request });
  }

  /** Ends one copy of a request, or all of it; nothing follows. */
  cancel(id: number, copy: number | null = null): void {
    if (!this.#askers.has(id)) return;
    if (copy === null) this.#askers.delete(id);
    this.#send({ type: "cancel", id, copy });
  }

  /** A request has come to its end. */
  forget(id: number): void {
    this.#askers.delete(id);
  }

  /**
   * Vectors of texts.
   *
   * @throws {ApiError} 500 when the engine is lost meanwhile.
   */
  read(id: number, inputs: readonly TextInput[]): Promise<readonly Float32Array[]> {
    return new Promise((answered, failed) => {
      const take = answered as Asker["answered"];
      this.#ask(id, { answered: take, failed, event: () => {} }, { type: "read", id, inputs });
    });
  }

  /**
   * Asks about the model itself.
   *
   * @throws {ApiError} 500 when the engine is lost meanwhile.
   */
  inspect<About extends Subject>(id: number, question: Question & { about: About }): Promise<Inspected<About>> {
    return new Promise((answered, failed) => {
      const take = answered as Asker["answered"];
      this.#ask(id, { answered: take, failed, event: () => {} }, { type: "inspect", id, question });
    });
  }

  /** Ends the process at once; whoever waits is told so. */
  end(reason = "was ended"): void {
    this.#child.kill("SIGKILL");
    this.#lose(reason);
  }

  #ask(id: number, asker: Asker, message: ToEngine): void {
    if (this.#isOver) {
      asker.failed(lostAnswer("has ended"));
      return;
    }
    if (this.#askers.size === 0) this.#lastSign = performance.now();
    this.#askers.set(id, asker);
    this.#send(message);
  }

  #send(message: ToEngine): void {
    if (!this.#isOver && this.#child.connected) this.#child.send(message, () => {}); // whether it arrives shows by itself
  }

  #hear(said: Exclude<FromEngine, { type: "ready" | "unusable" }>): void {
    this.#lastSign = performance.now();
    switch (said.type) {
      case "step":
        this.#watcher.step(said.events, said.state);
        for (const event of said.events) this.#askers.get(event.id)?.event(event);
        break;
      case "vectors":
        this.#askers.get(said.id)?.answered(said.vectors);
        this.#askers.delete(said.id);
        break;
      case "inspected":
        this.#askers.get(said.id)?.answered(said.answer);
        this.#askers.delete(said.id);
        break;
      case "refused":
        this.#askers.get(said.id)?.failed(refusalOf(said));
        this.#askers.delete(said.id);
        break;
      default:
    }
  }

  #check(): void {
    if (this.isStuck) this.end(`made no step for ${patience.engineMs / 1000} s`);
  }

  #lose(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#watch);
    const askers = [...this.#askers.values()];
    this.#askers.clear();
    this.#watcher.lost(reason);
    for (const asker of askers) asker.failed(lostAnswer(reason));
  }
}

function refusalOf({ message, isOwnFault }: Extract<FromEngine, { type: "refused" }>): ApiError {
  // What a form asks for shows only when it is compiled.
  return isOwnFault
    ? new ApiError(400, message, { code: "invalid_schema" })
    : new ApiError(500, message, { code: "engine_failed" });
}

function lostAnswer(reason: string): ApiError {
  return new ApiError(500, `the model's engine ${reason}; it is started again, ask once more`, {
    code: "engine_lost",
    retryAfter: 1,
  });
}

function unusable(message: string): ApiError {
  return new ApiError(500, `the model cannot be opened: ${message}`, { code: "model_unusable" });
}
