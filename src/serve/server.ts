import type { IncomingMessage, Server } from "node:http";
import { createServer, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { HttpBindings } from "@hono/node-server";
import { getRequestListener } from "@hono/node-server";
import { ApiError } from "./api-error.ts";
import type { Doors } from "./app.ts";
import { createApp } from "./app.ts";
import type { FeedbackSettings } from "./feedback/feedback.ts";
import { Feedback } from "./feedback/feedback.ts";
import { JobTable } from "./jobs/job-table.ts";
import type { JobStage } from "./jobs/stage-form.ts";
import { mostConnections, patience } from "./limits.ts";
import { Metrics } from "./metrics.ts";
import type { ModelSource } from "./model-source.ts";
import { ModelTable } from "./model-table.ts";
import { newId } from "./new-id.ts";
import type { Service, UnderWay } from "./route.ts";
import { routes } from "./routes/index.ts";
import { RunTable } from "./run-table.ts";
import type { EngineSettings } from "./served-model.ts";
import { endStalledReaders } from "./stalled-readers.ts";
import { readStaticFiles } from "./static-files.ts";

/** The built browser app, in the package and in a checkout. */
const appFolder = fileURLToPath(new URL("../../dist/web", import.meta.url));

/** How a server is started. */
export interface ServerSettings {
  readonly models: readonly ModelSource[];
  /** The folder whose runs it shows. */
  readonly runs: string;
  /** Stages that may be started as jobs, in the folder of runs; null where none may. */
  readonly jobs: readonly JobStage[] | null;
  /** Bytes that open models may take together. */
  readonly memory: number;
  readonly engine: EngineSettings;
  /** Sequences that may wait for a slot. */
  readonly queue: number;
  readonly doors: Doors;
  /** Where what people say is kept; null for nowhere. */
  readonly feedback: FeedbackSettings | null;
  /** Is told what whoever runs the server should know; never what anyone asked. */
  readonly note: (line: string) => void;
}

/** A server that listens. */
export interface RunningServer {
  readonly port: number;
  readonly models: ModelTable;
  /** Takes no more requests, lets those under way end for so long, tells the others, and ends. */
  stop(drainMs: number): Promise<void>;
}

/** What is served, ranked and kept may be named by jobs, too, wherever it lies; and what jobs make is served. */
function jobTable({ jobs: stages, runs: root, models, feedback }: ServerSettings, table: ModelTable): JobTable | null {
  if (stages === null) return null;
  const made = async (model: ModelSource): Promise<void> => {
    const isThere = models.some(({ path }) => resolve(path) === resolve(model.path));
    // What cannot be served, such as an encoder-decoder, is a good model all the same.
    if (!isThere) await table.add(model).catch(() => {});
  };
  const others = [
    ...models.map(({ path }) => ({ name: path, path: resolve(path), kind: "model" as const })),
    ...(feedback?.samples ?? []).map((path) => ({ name: path, path: resolve(path), kind: "file" as const })),
  ];
  return new JobTable({ root, stages, others, folders: feedback === null ? [] : [feedback.folder], made });
}

/**
 * Starts to listen.
 *
 * @throws {Error} with the code `EADDRINUSE` or another of the system's when it cannot.
 * @throws {CheckpointError} when one of the models is none.
 */
export async function startServer(
  settings: ServerSettings,
  address: { readonly host: string; readonly port: number },
): Promise<RunningServer> {
  const { engine, queue, doors, note } = settings;
  const active = new Set<UnderWay>();
  const known: { models: ModelTable | null; isStopping: boolean } = { models: null, isStopping: false };
  const sum = (of: (model: ReturnType<ModelTable["all"]>[number]) => number): number =>
    (known.models?.all() ?? []).reduce((total, model) => total + of(model), 0);
  const metrics = new Metrics({
    running: () => sum((model) => model.queue.running),
    waiting: () => sum((model) => model.queue.waiting),
    busySlots: () => sum((model) => model.busySlots.length),
  });
  const limits = { slots: engine.slots, queue, hasKeys: doors.keys !== null };
  const models = await ModelTable.from(settings.models, settings.memory, { engine, limits, metrics, note });
  known.models = models;
  const service: Service = {
    feedback: settings.feedback && (await Feedback.open(settings.feedback)),
    ...{ models, metrics, active, runs: new RunTable(settings.runs), jobs: jobTable(settings, models) },
    isStopping: () => known.isStopping,
    defect: (where, error) => note(`${where}: unexpected failure: ${placeOf(error)}`),
  };
  const app = createApp({ routes, files: readStaticFiles(appFolder) }, service, doors);
  // Its Request and Response take the place of this process's own: answers that are whole go out without a stream of the web.
  const listener = getRequestListener(
    (request, connection) => app.fetch(request, connection as HttpBindings), // of HTTP/1.1, which is all that it gets
  );
  const server = httpServer(listener);
  const watch = endStalledReaders(server);
  await listen(server, address).catch((error: unknown) => {
    clearInterval(watch);
    throw error;
  });
  const bound = server.address();
  return {
    port: typeof bound === "object" && bound !== null ? bound.port : address.port,
    models,
    async stop(drainMs) {
      known.isStopping = true; // new requests are told so
      await waitFor(() => active.size === 0, drainMs);
      const late = new ApiError(503, "the server stops before the answer is whole; ask again later", {
        code: "stopping",
      });
      for (const one of [...active]) one.fail(late);
      const isClosed = new Promise<void>((done) => server.close(() => done()));
      server.closeIdleConnections();
      await Promise.race([isClosed, pause(1000)]); // answers are on their way
      server.closeAllConnections();
      clearInterval(watch);
      models.close();
      await service.feedback?.close();
      await isClosed;
    },
  };
}

function httpServer(listener: Parameters<typeof createServer>[1]): Server {
  const server = createServer(
    {
      ...{ maxHeaderSize: 16 * 1024, requireHostHeader: false, keepAliveTimeout: patience.keepAliveMs },
      connectionsCheckingInterval: patience.headersMs / 5, // Node's own makes 60 s up to 90
    },
    listener,
  );
  server.headersTimeout = patience.headersMs;
  server.requestTimeout = patience.requestMs;
  server.maxConnections = mostConnections;
  server.on("clientError", refuseBroken);
  server.on("checkExpectation", (_: IncomingMessage, response) => {
    response.writeHead(417, { "content-type": "application/json" });
    response.end(JSON.stringify(new ApiError(417, "expect: only 100-continue is known; leave it out").body));
  });
  return server;
}

/** What is no HTTP at all, or too slow, is answered here: no request of it ever reaches a route. */
function refuseBroken(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const refusal = refusalOf(error.code);
  const body = JSON.stringify(refusal.body);
  const head = [
    `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status] ?? ""}`,
    "content-type: application/json",
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${newId("req")}`,
    "x-should-retry: false",
    "connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
}

function refusalOf(code: string | undefined): ApiError {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT")
    return new ApiError(408, "the request did not arrive in time; send it faster");
  if (code === "HPE_HEADER_OVERFLOW") return new ApiError(431, "the headers are larger than 16 KB; send fewer");
  return new ApiError(400, "this is not valid HTTP/1.1; check the client");
}

function listen(server: Server, { host, port }: { readonly host: string; readonly port: number }): Promise<void> {
  return new Promise((done, fail) => {
    server.once("error", fail);
    server.listen({ host, port, exclusive: true }, () => {
      server.off("error", fail);
      done();
    });
  });
}

/** Where an error came from, without what it says: that may be what someone asked. */
function placeOf(error: unknown): string {
  if (!(error instanceof Error)) return "no error";
  const [, first = ""] = error.stack?.split("\n    at ") ?? [];
  return `${error.name} at ${first}`;
}

async function waitFor(isTrue: () => boolean, mostMs: number): Promise<void> {
  const end = performance.now() + mostMs;
  while (!isTrue() && performance.now() < end) await pause(20);
}

function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}
