import { z } from "zod";
import { machineSettings, openMachine } from "../backend/machine-settings.ts";
import { SettingsError } from "../core/errors.ts";
import { openAssistant } from "../generate/assistant.ts";
import { score as scoreIds } from "../generate/score.ts";
import { weightSettings } from "../models/weight-choice.ts";
import { remoteScore } from "../remote/remote-score.ts";
import { openRemote, refuseLocal, remoteSettings } from "../remote/remote-settings.ts";
import { addedAdapterSettings } from "../stages/adapter-settings.ts";
import { bounded } from "../text/text-bounds.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import type { Io } from "./command.ts";
import { defineCommand } from "./command.ts";
import { readInput, readTextFile } from "./read-input.ts";

const ScoreSettings = z.object({
  model: z
    .string()
    .min(1)
    .describe("model folder, or a GGUF file; or the model's name, with --base-url")
    .meta({ placeholder: "folder" }),
  ...addedAdapterSettings,
  text: z
    .string()
    .optional()
    .describe("text to score; without --text, --input and --input-ids, standard input is read"),
  input: z.string().optional().describe("file to score").meta({ placeholder: "path" }),
  inputIds: z.string().optional().describe("token ids to score, separated by commas").meta({ placeholder: "ids" }),
  ...remoteSettings,
  ...weightSettings,
  ...machineSettings,
});
type ScoreSettings = z.output<typeof ScoreSettings>;

/** `stemma score`: how likely a model finds a text, token by token. */
export const score = defineCommand({
  name: "score",
  summary: "log-probability of each token of a text, loss and perplexity",
  group: "Use a model",
  settings: ScoreSettings,
  examples: [
    'stemma score --model runs/book/final --text "In the beginning" --json',
    'stemma score --model some-model --base-url http://127.0.0.1:8000/v1 --text "In the beginning"',
  ],
  async run(settings, io) {
    const given = [settings.text, settings.input, settings.inputIds].filter((value) => value !== undefined);
    if (given.length > 1) throw new SettingsError("more than one of --text, --input and --input-ids; give one of them");
    if (settings.baseUrl !== undefined) return scoreThere({ ...settings, baseUrl: settings.baseUrl }, io);
    const backend = await openMachine(settings, io);
    const { model, encoder } = await openAssistant(
      settings.model,
      backend,
      settings.weights ?? "stored",
      settings.adapter,
    );
    const ids = await idsOf(settings, encoder.tokenizer, io);
    const result = await scoreIds(model, ids, io.stopSignal());
    result.tokenIds.forEach((id, i) => {
      const text = JSON.stringify(encoder.tokenizer.decode([id]));
      io.print(`${String(id).padStart(7)}  ${shown(result.logProbs[i])}  ${text}`);
    });
    io.print(lossLine(result));
    return result;
  },
});

/** Asks a server, which names its tokens and not their ids. */
async function scoreThere(settings: ScoreSettings & { readonly baseUrl: string }, io: Io): Promise<object> {
  const { baseUrl, model, adapter, weights, inputIds } = settings;
  refuseLocal(baseUrl, { adapter, weights });
  const prompt = inputIds === undefined ? await textOf(settings, io) : parseIds(inputIds);
  const server = await openRemote(settings, model, { note: io.note, signal: io.stopSignal() });
  const result = await remoteScore(server, prompt);
  result.tokens.forEach((text, i) => {
    io.print(`${shown(result.logProbs[i])}  ${JSON.stringify(text)}`);
  });
  io.print(lossLine(result));
  return result;
}

function shown(logProb: number | null | undefined): string {
  return (logProb?.toFixed(4) ?? "").padStart(9);
}

function lossLine({ loss, perplexity }: { readonly loss: number; readonly perplexity: number }): string {
  return `loss ${loss.toFixed(4)} nats a token, perplexity ${perplexity.toFixed(2)}`;
}

async function idsOf(settings: ScoreSettings, tokenizer: Tokenizer, io: Io): Promise<Int32Array | number[]> {
  if (settings.inputIds !== undefined) return parseIds(settings.inputIds);
  return bounded(tokenizer, tokenizer.encode(await textOf(settings, io)));
}

async function textOf({ text, input }: ScoreSettings, io: Io): Promise<string> {
  if (text !== undefined) return text;
  return input === undefined ? readInput(io, "text", "--text, --input or --input-ids") : readTextFile(input);
}

function parseIds(list: string): number[] {
  return list.split(",").map((part) => {
    const id = part.trim() === "" ? Number.NaN : Number(part);
    if (Number.isInteger(id) && id >= 0) return id;
    throw new SettingsError(
      `--input-ids: ${JSON.stringify(part)} is not a token id; give whole numbers such as 5,17,3`,
    );
  });
}
