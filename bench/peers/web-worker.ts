import { Worker } from "node:worker_threads";

/** What a message listener of a web worker gets. */
interface Message {
  readonly data: unknown;
}

/** Makes `self`, `postMessage` and `onmessage` of a web worker out of a worker thread's port. */
const prelude = `
  const { parentPort } = require("node:worker_threads");
  globalThis.self = globalThis;
  globalThis.postMessage = (message) => parentPort.postMessage(message);
  parentPort.on("message", (data) => self.onmessage({ data }));
`;

/** The little of the browser's `Worker` that WebAssembly libraries need to use several threads, on worker threads. */
class WebWorker {
  onmessage: ((message: Message) => void) | null = null;
  onerror: ((error: Error) => void) | null = null;
  readonly #started: Promise<Worker>;
  #worker: Worker | null = null;

  constructor(url: string) {
    this.#started = this.#start(url);
  }

  async #start(url: string): Promise<Worker> {
    const source = await (await fetch(url)).text();
    const worker = new Worker(prelude + source, { eval: true });
    worker.on("message", (data) => this.onmessage?.({ data }));
    worker.on("error", (error) => this.onerror?.(error as Error));
    this.#worker = worker;
    return worker;
  }

  postMessage(message: unknown): void {
    if (this.#worker === null) void this.#started.then((worker) => worker.postMessage(message));
    else this.#worker.postMessage(message);
  }
}

/** Lets a library for browsers believe that it runs in one with `threads` cores. */
export function pretendToBeBrowser(threads: number): void {
  const navigator = { hardwareConcurrency: threads, userAgent: "node" };
  Object.defineProperty(globalThis, "navigator", { value: navigator, configurable: true });
  if (threads > 1) Object.defineProperty(globalThis, "Worker", { value: WebWorker, configurable: true });
}
