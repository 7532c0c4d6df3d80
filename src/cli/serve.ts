import { totalmem } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { parseBytes } from "../core/byte-size.ts";
import { SettingsError } from "../core/errors.ts";
import { weightSettings } from "../models/weight-choice.ts";
import { readApiKeys } from "../serve/api-keys.ts";
import { modelSources } from "../serve/model-source.ts";
import { portOwner } from "../serve/port-owner.ts";
import type { RunningServer, ServerSettings } from "../serve/server.ts";
import { startServer } from "../serve/server.ts";
import { stages } from "../stages/index.ts";
import type { Io } from "./command.ts";
import { defineCommand } from "./command.ts";

/** What `stemma serve` is asked with. */
export const ServeSettings = z.object({
  model: z
    .array(z.string().min(1))
    .min(1)
    .describe("model folder, GGUF file or run under way; name=FOLDER gives it a name; may be given more than once")
    .meta({ placeholder: "folder", commas: false }),
  runs: z
    .string()
    .min(1)
    .default("runs")
    .describe("folder whose runs the browser app shows")
    .meta({ placeholder: "folder" }),
  allowJobs: z
    .boolean()
    .default(false)
    .describe(
      "let whoever may ask the server start, stop and resume training: stages as processes, in the folder of runs",
    ),
  host: z
    .string()
    .min(1)
    .default("127.0.0.1")
    .describe("address to listen on; another one than this machine's needs keys"),
  port: z.int().min(0).max(65_535).default(8000).describe("port to listen on; 0 takes a free one"),
  apiKeyFile: z.string().optional().describe("file of API keys, one a line; without it, none is needed").meta({
    placeholder: "file",
  }),
  allowHost: z
    .array(z.string().min(1))
    .default([])
    .describe("name by which the server may be addressed, beside localhost; may be given more than once")
    .meta({ placeholder: "name" }),
  allowOrigin: z
    .array(z.string().regex(/^https?:\/\/[^/*]+$/, "must be an origin such as https://chat.example"))
    .default([])
    .describe("origin of web pages that may ask the server; may be given more than once")
    .meta({ placeholder: "origin" }),
  rank: z
    .array(z.string().min(1))
    .default([])
    .describe("prompts and answers of stemma sample that people rank in the browser app; may be given more than once")
    .meta({ placeholder: "file", commas: false }),
  feedback: z
    .string()
    .min(1)
    .optional()
    .describe(
      "folder that rankings and conversations of the app are kept in (default: feedback in the folder of runs, with --rank; else none)",
    )
    .meta({ placeholder: "folder" }),
  slots: z.int().min(1).max(32).default(8).describe("sequences that a model computes side by side"),
  queue: z.int().min(0).max(100_000).default(64).describe("sequences that may wait for a slot; more are refused"),
  context: z
    .int()
    .min(16)
    .optional()
    .describe("longest sequence, prompt included (default: the model's own, as far as memory goes)"),
  memory: z
    .string()
    .optional()
    .describe("how much open models may take together (default: half of the machine's)")
    .meta({
      placeholder: "size",
    }),
  drain: z.int().min(0).max(3600).default(30).describe("seconds that answers under way may still take at the end"),
  ...weightSettings,
  threads: z.int().nonnegative().default(0).describe("threads to compute with; 0 is as many as can run at once").meta({
    group: "Machine",
  }),
});
export type ServeSettings = z.output<typeof ServeSettings>;

/** `stemma serve`: an OpenAI-compatible server. */
export const serve = defineCommand({
  name: "serve",
  summary: "answer other programs: an OpenAI-compatible server",
  group: "Use a model",
  settings: ServeSettings,
  examples: [
    "stemma serve --model runs/quickstart/ppo/final",
    "stemma serve --model chat=runs/sft/final --model minilm --port 8080 --api-key-file keys.txt",
  ],
  run: (settings, io) => serveUntilStopped(settings, io),
});

/**
 * Serves until a signal comes.
 *
 * @param listens - Is told the address as soon as the server answers.
 * @throws {SettingsError} when it cannot listen there, saying who does.
 */
export async function serveUntilStopped(
  settings: ServeSettings,
  io: Io,
  listens: (url: string) => Promise<void> | void = () => {},
): Promise<{ readonly port: number }> {
  const signal = io.stopSignal();
  const server = await start(await serverSettings(settings, io), settings);
  const { host, drain } = settings;
  const url = `http://${host.includes(":") ? `[${host}]` : host}:${server.port}`;
  io.print(`listening on ${url}`);
  for (const { name, found } of server.models.all()) io.print(`model ${name}: ${found.kind}, ${found.path}`);
  await listens(url);
  await new Promise<void>((stopped) => {
    if (signal.aborted) stopped();
    signal.addEventListener("abort", () => stopped(), { once: true });
  });
  io.note(`answers under way have ${drain} s`);
  await server.stop(drain * 1000);
  return { port: server.port };
}

async function serverSettings(settings: ServeSettings, io: Io): Promise<ServerSettings> {
  const { host, apiKeyFile, allowHost, allowOrigin, memory } = settings;
  const isLocal = ["127.0.0.1", "::1", "localhost"].includes(host);
  if (!isLocal && apiKeyFile === undefined) {
    throw new SettingsError(
      `host: ${host} lets other machines ask; give --api-key-file with the keys that they need, or leave out --host`,
    );
  }
  const bytes = memory === undefined ? totalmem() / 2 : parseBytes(memory, "memory");
  const named = isLocal || /^(0\.0\.0\.0|::)$/.test(host) ? [] : [host.includes(":") ? `[${host}]` : host];
  return {
    models: modelSources(settings.model),
    runs: settings.runs,
    jobs: settings.allowJobs ? stages : null,
    memory: bytes,
    engine: {
      slots: settings.slots,
      threads: settings.threads,
      weights: settings.weights ?? "stored",
      context: settings.context ?? null,
      cacheBytes: Math.floor(bytes * cacheShare),
    },
    queue: settings.queue,
    feedback: feedbackSettings(settings),
    doors: {
      rules: {
        hosts: [...named, ...allowHost].map((name) => name.toLowerCase()),
        origins: allowOrigin.map((origin) => origin.toLowerCase()),
      },
      keys: apiKeyFile === undefined ? null : await readApiKeys(apiKeyFile),
    },
    note: io.note,
  };
}

/** Where the app's rankings are kept if nobody says where: among the files that its jobs may learn from. */
export function feedbackIn(runs: string): string {
  return join(runs, "feedback");
}

function feedbackSettings({ rank, feedback, runs }: ServeSettings): ServerSettings["feedback"] {
  const folder = feedback ?? (rank.length > 0 ? feedbackIn(runs) : null);
  return folder === null ? null : { folder, samples: rank };
}

/** Of the memory for models, what the sequences of one may take, where the context is not said. */
const cacheShare = 0.25;

async function start(settings: ServerSettings, { host, port }: ServeSettings): Promise<RunningServer> {
  try {
    return await startServer(settings, { host, port });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EADDRINUSE") {
      const owner = (await portOwner(port)) ?? "another program";
      throw new SettingsError(`port: ${port} of ${host} is taken by ${owner}; end it, or choose another --port`, {
        cause: error,
      });
    }
    if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND") {
      throw new SettingsError(`host: ${host} is no address of this machine; take one of its own`, { cause: error });
    }
    if (code === "EACCES") {
      throw new SettingsError(`port: ${port} needs more rights; choose one of 1024 or more`, { cause: error });
    }
    throw error;
  }
}
