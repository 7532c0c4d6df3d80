import { getPriority, setPriority } from "node:os";
import process from "node:process";
import { openMachine } from "../backend/machine-settings.ts";
import { StemmaError } from "../core/errors.ts";
import { turnEventLoop } from "../core/event-loop.ts";
import type { EngineStart, FromEngine, OpenedModel, ToEngine } from "./engine-messages.ts";
import type { Worker } from "./model-workers.ts";
import { openWorker } from "./model-workers.ts";

/**
 * The program of an engine's process: opens one model and computes what it is asked. It ends when the server does, whatever
 * that ends by; signals of the terminal are for the server alone.
 */
async function run(start: EngineStart): Promise<void> {
  const waiting: ToEngine[] = [];
  let wake: () => void = () => {};
  process.on("message", (message) => {
    waiting.push(message as ToEngine);
    wake();
  });
  process.on("disconnect", () => process.exit(0));
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => {});
  yieldToServer();
  const opened = await open(start);
  if (opened === null) return;
  say({ type: "ready", model: opened.model });
  for (;;) {
    await turnEventLoop(); // what was asked meanwhile, and who has gone
    for (const message of waiting.splice(0)) opened.worker.take(message);
    if (!opened.worker.isIdle) await opened.worker.step();
    else {
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (waiting.length > 0) resolve();
      });
    }
  }
}

/**
 * What an engine computes takes every processor for as long as it has work; what the server says is short, and waited for.
 * Threads that are started later have the same priority.
 */
function yieldToServer(): void {
  try {
    setPriority(Math.min(getPriority() + 3, 19));
  } catch {
    // Some sandboxes forbid it. Then both take turns as before.
  }
}

async function open(start: EngineStart): Promise<{ worker: Worker; model: OpenedModel } | null> {
  try {
    const notes: string[] = [];
    const backend = await openMachine(
      { threads: start.threads, matmulPrecision: "float32" },
      { note: (line) => notes.push(line) },
    );
    const { worker, model } = await openWorker(start, backend, say);
    return { worker, model: { ...model, notes } };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    say({ type: "unusable", message: error instanceof StemmaError ? message : `unexpected failure: ${message}` });
    process.disconnect();
    return null;
  }
}

function say(message: FromEngine): void {
  if (process.connected) process.send?.(message);
}

process.title = "stemma engine";
await run(JSON.parse(process.argv[2] ?? "{}") as EngineStart);
