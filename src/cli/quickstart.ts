import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { openBackend } from "../backend/index.ts";
import { CheckpointError, InterruptedError, SettingsError } from "../core/errors.ts";
import { nullIfAborted, turnEventLoop } from "../core/event-loop.ts";
import { shellLine } from "../core/shell-line.ts";
import { writeFileAtomic } from "../files/atomic-write.ts";
import { formatJson } from "../files/json.ts";
import { readJsonIfThere } from "../files/json-file.ts";
import { makeFolder } from "../files/make-folder.ts";
import { align } from "../stages/quickstart/align.ts";
import {
  chooseSize,
  isFaster,
  measuredOn,
  QuickstartSize,
  roadSeconds,
  wholeSteps,
} from "../stages/quickstart/choose-size.ts";
import { standingLines } from "../stages/quickstart/compare.ts";
import type { Base } from "../stages/quickstart/pretrain-base.ts";
import { pretrainBase } from "../stages/quickstart/pretrain-base.ts";
import type { StageResult, Watcher } from "../stages/run-stage.ts";
import { trainingSettings } from "../stages/stage.ts";
import type { Io } from "./command.ts";
import { defineCommand } from "./command.ts";
import { formatDuration } from "./progress.ts";
import { stageWatcher } from "./stage-command.ts";

const QuickstartSettings = z.object({
  output: z
    .string()
    .min(1)
    .optional()
    .describe("folder for everything (default: runs/quickstart, or the first free runs/quickstart-N)")
    .meta({ placeholder: "folder" }),
  road: z
    .enum(["base", "whole"])
    .default("whole")
    .describe("whole: pretraining, SFT, reward model, PPO and DPO; base: pretraining only"),
  minutes: z
    .number()
    .positive()
    .default(8)
    .describe("time it may take: the machine is measured first, and size and steps of the model chosen"),
  steps: z
    .int()
    .positive()
    .optional()
    .describe("updates of the pretrained model (default: by --minutes, at most 1200)"),
  resume: z.boolean().default(false).describe("go on with the quickstart that --output holds"),
  seed: trainingSettings.seed,
  threads: trainingSettings.threads,
  matmulPrecision: z
    .enum(["float32", "bfloat16"])
    .optional()
    .describe("numbers that matrix products multiply (default: bfloat16 where the processor multiplies it)"),
});
type QuickstartSettings = z.output<typeof QuickstartSettings>;

/** `stemma quickstart`: from raw text to an assistant, on a text that comes with the package. */
export const quickstart = defineCommand({
  name: "quickstart",
  summary: "a GPT learns English from the King James Bible and becomes an assistant, in minutes",
  group: "Start",
  settings: QuickstartSettings,
  examples: ["stemma quickstart", "stemma quickstart --road base", "stemma quickstart --resume"],
  async run(settings, io) {
    const start = performance.now();
    const output = outputOf(settings);
    const signal = io.stopSignal();
    const size = await sizeOf(settings, output, io, signal).catch((error: unknown) => nullIfAborted(error, signal));
    if (size === null) {
      throw new InterruptedError("quickstart: stopped while it measured the machine; nothing was begun");
    }
    const road = { ...settings, ...size, steps: settings.steps ?? Math.ceil(wholeSteps * size.scale), output };
    return travel(road, start, io, signal).catch((error: unknown) => {
      if (!(error instanceof InterruptedError)) throw error;
      throw new InterruptedError(`${error.message}: ${resumeLine(settings, output)}`, { cause: error });
    });
  },
});

/** Where quickstarts are that were given no folder. */
const usualOutputs = ["runs/quickstart", ...Array.from({ length: 98 }, (_, i) => `runs/quickstart-${i + 2}`)];

type Road = Omit<QuickstartSettings, "steps"> & QuickstartSize & { readonly steps: number; readonly output: string };

async function travel(road: Road, start: number, io: Io, signal: AbortSignal): Promise<object> {
  const { output } = road;
  const watch = (stage: string): Watcher => ({ ...stageWatcher(stage, io), signal });
  const base = await pretrainBase(road, watch("pretrain"));
  showBase(base, io);
  if (road.road === "base") return finish({ output, start, base: base.result }, io);
  const { text, heldOutText } = base.corpus;
  const aligned = await align({ ...road, base: base.result.model ?? "", text, heldOutText, watch });
  for (const line of standingLines(aligned.standings, aligned.prompts)) io.print(line);
  return finish({ output, start, base: base.result, standings: aligned.standings, models: aligned.models }, io);
}

/** The command that goes on: what `quickstart.json` does not hold is given again where it is no default. */
function resumeLine(settings: QuickstartSettings, output: string): string {
  const isFound = usualOutputs.findLast((name) => existsSync(name)) === output;
  const usual = QuickstartSettings.parse({});
  const changed = (["road", "steps", "seed", "threads"] as const).filter((key) => settings[key] !== usual[key]);
  const again = changed.flatMap((key) => [`--${key}`, String(settings[key])]);
  return shellLine("npx", "stemma", "quickstart", "--resume", ...(isFound ? [] : ["--output", output]), ...again);
}

function outputOf({ output, resume }: QuickstartSettings): string {
  if (output !== undefined) {
    if (resume || !existsSync(join(output, "base"))) return output;
    throw new SettingsError(`${output} already holds a quickstart; add --resume to go on, or choose another --output`);
  }
  const found = resume
    ? usualOutputs.findLast((name) => existsSync(name))
    : usualOutputs.find((name) => !existsSync(name));
  if (found !== undefined) return found;
  throw new SettingsError(resume ? "there is no quickstart to resume" : "runs/ holds 99 quickstarts; give --output");
}

/** What an interrupted quickstart chose, or a choice by what this machine can do, which is written down. */
async function sizeOf(
  settings: QuickstartSettings,
  output: string,
  io: Io,
  signal: AbortSignal,
): Promise<QuickstartSize> {
  const path = join(output, "quickstart.json");
  const chosen = settings.resume ? await readJsonIfThere(path) : null;
  if (chosen !== null) {
    const size = QuickstartSize.safeParse(chosen);
    if (size.success) return size.data;
    throw new CheckpointError(`${path}: is damaged; begin anew with another --output`);
  }
  const threads = settings.threads > 0 ? settings.threads : undefined;
  const exact = await openBackend({ threads, onFallback: io.note });
  const rounding = await openBackend({ threads, matmulPrecision: "bfloat16" });
  const matmulPrecision = settings.matmulPrecision ?? (isFaster(rounding, exact) ? "bfloat16" : "float32");
  const backend = matmulPrecision === "bfloat16" ? rounding : exact;
  const { secondsPerStep, ...choice } = await chooseSize({ ...settings, ...measuredOn(backend, signal) });
  await turnEventLoop();
  signal.throwIfAborted();
  io.note(
    `quickstart: a GPT-2 of ${choice.layers} layers, ${choice.width} wide, learns English from the King James Bible, in ` +
      `${output}; a step of it takes ${formatDuration(secondsPerStep)} here, so that ${(100 * choice.scale).toFixed(0)} % of the ` +
      `steps take about ${formatDuration(roadSeconds(choice, secondsPerStep, settings.road))} (--minutes ${settings.minutes})`,
  );
  const size = { ...choice, matmulPrecision };
  await makeFolder(output);
  await writeFileAtomic(path, formatJson(path, size));
  return size;
}

function showBase({ result, corpus }: Base, io: Io): void {
  const { eval_loss = 0, eval_perplexity = 0, eval_bits_per_character = 0 } = result.metrics;
  io.print(
    `held-out text: loss ${eval_loss.toFixed(3)} nats a token, perplexity ${eval_perplexity.toFixed(2)}, ` +
      `${eval_bits_per_character.toFixed(3)} bits a character (${corpus.heldOutText})`,
  );
}

/** The command that shows a quickstart: runs are looked for in `runs`. */
function uiLine(output: string): string {
  const isUsual = usualOutputs.includes(output);
  return shellLine("stemma", "ui", ...(isUsual ? [] : ["--runs", output]));
}

interface Finished {
  readonly output: string;
  readonly start: number;
  readonly base: StageResult;
  readonly standings?: object;
  readonly models?: Readonly<Record<string, string>>;
}

function finish({ start, ...result }: Finished, io: Io): object {
  const seconds = (performance.now() - start) / 1000;
  const { base, models } = result;
  const next = [
    `stemma generate --model ${base.model} --prompt "And it came to pass" --max-new-tokens 100`,
    `stemma pretrain --model gpt2 --data your.txt --output runs/mine`,
    models
      ? `stemma chat --model ${models.ppo} --temperature 0.8`
      : `stemma quickstart --resume --output ${result.output}`,
  ];
  io.print(`done in ${formatDuration(seconds)}; try next:`);
  for (const line of next) io.print(`  npx ${line}`);
  io.print(`and see its models and runs in a browser: npx ${uiLine(result.output)}`);
  return { ...result, seconds };
}
