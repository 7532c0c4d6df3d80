import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { openBackend } from "../backend/index.ts";
import { SettingsError } from "../core/errors.ts";
import { align } from "../stages/quickstart/align.ts";
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
  steps: z.int().positive().default(1200).describe("updates of the pretrained model"),
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
    const matmulPrecision = settings.matmulPrecision ?? (await bestPrecision());
    const common = { ...settings, output, matmulPrecision };
    const signal = io.stopSignal();
    const watch = (stage: string): Watcher => ({ ...stageWatcher(stage, io), signal });
    io.note(`quickstart: a GPT-2 learns English from the King James Bible, in ${output}`);
    const base = await pretrainBase(common, watch("pretrain"));
    showBase(base, io);
    if (settings.road === "base") return finish({ output, start, base: base.result }, io);
    const { text, heldOutText } = base.corpus;
    const aligned = await align({ ...common, base: base.result.model ?? "", text, heldOutText, watch });
    for (const line of standingLines(aligned.standings, aligned.prompts)) io.print(line);
    return finish({ output, start, base: base.result, standings: aligned.standings, models: aligned.models }, io);
  },
});

function outputOf({ output, resume }: QuickstartSettings): string {
  if (output !== undefined) {
    if (resume || !existsSync(join(output, "base"))) return output;
    throw new SettingsError(`${output} already holds a quickstart; add --resume to go on, or choose another --output`);
  }
  const names = ["runs/quickstart", ...Array.from({ length: 98 }, (_, i) => `runs/quickstart-${i + 2}`)];
  const used = names.filter((name) => existsSync(name));
  const found = resume ? used.at(-1) : names.find((name) => !existsSync(name));
  if (found !== undefined) return found;
  throw new SettingsError(resume ? "there is no quickstart to resume" : "runs/ holds 99 quickstarts; give --output");
}

async function bestPrecision(): Promise<"float32" | "bfloat16"> {
  const backend = await openBackend();
  return backend.multipliesBfloat16 === true ? "bfloat16" : "float32";
}

function showBase({ result, corpus }: Base, io: Io): void {
  const { eval_loss = 0, eval_perplexity = 0, eval_bits_per_character = 0 } = result.metrics;
  io.print(
    `held-out text: loss ${eval_loss.toFixed(3)} nats a token, perplexity ${eval_perplexity.toFixed(2)}, ` +
      `${eval_bits_per_character.toFixed(3)} bits a character (${corpus.heldOutText})`,
  );
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
  return { ...result, seconds };
}
