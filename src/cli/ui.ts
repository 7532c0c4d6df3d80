import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { z } from "zod";
import { StemmaError } from "../core/errors.ts";
import { findModel, modelSources } from "../serve/model-source.ts";
import { findRuns } from "../train/run-reader.ts";
import { defineCommand } from "./command.ts";
import { openBrowser } from "./open-browser.ts";
import { feedbackIn, ServeSettings, serveUntilStopped } from "./serve.ts";

const UiSettings = ServeSettings.omit({ host: true, apiKeyFile: true, allowHost: true, allowOrigin: true }).extend({
  model: z
    .array(z.string().min(1))
    .default([])
    .describe("another model to show, or name=FOLDER; may be given more than once")
    .meta({ placeholder: "folder", commas: false }),
  runs: ServeSettings.shape.runs.describe("folder whose runs and models are shown").meta({ placeholder: "folder" }),
  feedback: z
    .string()
    .min(1)
    .optional()
    .describe("folder that rankings and conversations of the app are kept in (default: feedback in the folder of runs)")
    .meta({ placeholder: "folder" }),
  open: z.boolean().default(true).describe("open a browser, where there is a screen; the address is printed anyway"),
});

/** `stemma ui`: the browser app on the models and runs of a folder. */
export const ui = defineCommand({
  name: "ui",
  summary: "see models and runs in a browser: chat, rank, watch, look inside",
  group: "Use a model",
  settings: UiSettings,
  examples: ["stemma ui", "stemma ui --runs runs/quickstart --allow-jobs", "stemma ui --no-open --port 8080"],
  async run({ open, model, ...settings }, io) {
    const show = async (url: string): Promise<void> => {
      const isOpened = open && (await openBrowser(url));
      io.print(`the app is at ${url}${isOpened ? ", and opens in your browser" : ""}`);
    };
    const url = `http://127.0.0.1:${settings.port}/`;
    if (settings.port !== 0 && (await isStemma(url))) {
      io.note(
        `a Stemma server runs on port ${settings.port} already, with the models and runs that it was started with; ` +
          "--port with another number starts one more",
      );
      await show(url);
      return { url };
    }
    if (!existsSync(settings.runs)) {
      io.note(`there is no folder ${settings.runs}; its runs appear in the app when something makes it`);
    }
    const names = modelSources(model).map(({ name }) => name);
    const found = await modelsOf(settings.runs, io.note, names);
    if (found.length + model.length === 0) {
      io.note(
        `there are no models in ${settings.runs} yet: npx stemma quickstart makes some, --model FOLDER takes others`,
      );
    }
    const whole = { ...ServeSettings.omit({ model: true }).parse(settings), model: [...model, ...found] };
    whole.feedback ??= feedbackIn(settings.runs); // what people say of answers is worth keeping, and made with the first of it
    const { port } = await serveUntilStopped(whole, io, (address) => show(`${address}/`));
    return { url: `http://127.0.0.1:${port}/` };
  },
});

/** Whether what answers at an address is a Stemma server with its app. */
async function isStemma(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000), redirect: "error" });
    return response.ok && /<title>Stemma\b/.test((await response.text()).slice(0, 10_000));
  } catch {
    return false;
  }
}

/**
 * What `--model` would be told of the models that runs ended in, the newest first. Their names are those of their runs, with as
 * much of the way there as tells them apart, from each other and from `others`.
 */
export async function modelsOf(
  runs: string,
  note: (line: string) => void,
  others: readonly string[] = [],
): Promise<string[]> {
  if (!existsSync(runs)) return [];
  const models: { id: string; path: string; time: number }[] = [];
  for (const run of await findRuns(runs)) {
    const path = join(run, "final");
    if (!existsSync(join(path, "config.json"))) continue;
    try {
      await findModel({ name: run, path });
      const id = relative(runs, run).replaceAll("\\", "/");
      models.push({ id, path, time: (await stat(path)).mtimeMs });
    } catch (error) {
      if (!(error instanceof StemmaError)) throw error;
      note(`${path} is left out: ${error.message}`);
    }
  }
  const taken = new Set(others);
  const named: string[] = [];
  for (const { id, path } of models.sort((a, b) => b.time - a.time)) {
    const name = nameFor(id, taken);
    taken.add(name);
    named.push(`${name}=${path}`);
  }
  return named;
}

/** The last part of a run's path, or more of it where another model has that name. */
function nameFor(id: string, taken: ReadonlySet<string>): string {
  const parts = (id === "" ? "model" : id).replaceAll(/[^\w.:@/-]/g, "_").split("/");
  for (let count = 1; count <= parts.length; count++) {
    const name = parts.slice(-count).join("-");
    if (!taken.has(name)) return name;
  }
  let number = 2;
  while (taken.has(`${parts.join("-")}-${number}`)) number++;
  return `${parts.join("-")}-${number}`;
}
