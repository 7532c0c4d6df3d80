import { writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { z } from "zod";
import { machineSettings, openMachine } from "../backend/machine-settings.ts";
import { SettingsError } from "../core/errors.ts";
import { expandHome } from "../files/home-path.ts";
import { openAssistant } from "../generate/assistant.ts";
import { ChatSession } from "../generate/chat-session.ts";
import { cacheSettings } from "../generate/generation-settings.ts";
import { askedSamplingSettings, writingOf } from "../generate/own-sampling.ts";
import { weightSettings } from "../models/weight-choice.ts";
import { addedAdapterSettings } from "../stages/adapter-settings.ts";
import type { Io } from "./command.ts";
import { defineCommand } from "./command.ts";

const help = "/reset forgets the conversation, /retry answers again, /save FILE writes it, /quit ends";

/** `stemma chat`: a conversation in the terminal. */
export const chat = defineCommand({
  name: "chat",
  summary: "talk with a model in the terminal",
  group: "Use a model",
  settings: z.object({
    model: z.string().min(1).describe("model folder, or a GGUF file").meta({ placeholder: "folder" }),
    ...addedAdapterSettings,
    system: z.string().default("").describe("instruction that the conversation starts with"),
    message: z.string().optional().describe("say this, print the answer and end"),
    maxNewTokens: z
      .int()
      .positive()
      .optional()
      .describe("longest answer, in tokens (default: the model's own, else 256)"),
    ...askedSamplingSettings,
    seed: z.int().nonnegative().default(1).describe("number that the answers follow from"),
    ...weightSettings,
    ...cacheSettings,
    ...machineSettings,
  }),
  examples: ['stemma chat --model runs/sft/final --system "Be kind." --temperature 0.8'],
  async run({ model: folder, message, system, seed, ...settings }, io) {
    const backend = await openMachine(settings, io);
    const { model, encoder } = await openAssistant(folder, backend, settings.weights ?? "stored", settings.adapter);
    const { sampling, maxNewTokens, note } = await writingOf(folder, settings);
    if (note !== null) io.note(note);
    const { cacheType } = settings;
    const options = { system, seed, sampling, maxNewTokens: maxNewTokens ?? 256, cacheType };
    const session = new ChatSession(model, encoder, options);
    if (message === undefined) await converse(session, io);
    else await show(session.say(message), io);
    return { messages: session.messages };
  },
});

/** Reads lines until there are no more. */
async function converse(session: ChatSession, io: Io): Promise<void> {
  if (io.input.isTTY === true) io.note(help);
  const lines = createInterface({ input: io.input });
  try {
    io.write("> ");
    for await (const line of lines) {
      if (line.trim() === "/quit") break;
      try {
        if (line.trim() !== "") await follow(line.trim(), session, io);
      } catch (error) {
        if (!(error instanceof SettingsError)) throw error;
        io.note(error.message);
      }
      io.write("> ");
    }
    io.write("\n");
  } finally {
    lines.close(); // a terminal that is still read from keeps the process alive
  }
}

async function follow(line: string, session: ChatSession, io: Io): Promise<void> {
  const [command, ...rest] = line.split(/\s+/);
  if (!line.startsWith("/")) return show(session.say(line), io);
  switch (command) {
    case "/reset":
      session.reset();
      return io.note("forgotten");
    case "/retry":
      return show(session.retry(), io);
    case "/save":
      return save(rest.join(" "), session, io);
    default:
      return io.note(help);
  }
}

async function show(pieces: AsyncIterable<string>, io: Io): Promise<void> {
  for await (const piece of pieces) io.write(piece);
  io.write("\n");
}

/** As a row that `stemma sft` reads. */
async function save(file: string, session: ChatSession, io: Io): Promise<void> {
  const path = expandHome(file);
  if (path === "") return io.note("/save needs a file, such as /save talk.jsonl");
  try {
    await writeFile(path, `${JSON.stringify({ messages: session.messages })}\n`, { flag: "ax" });
    io.note(`saved in ${path}`);
  } catch (error) {
    io.note(`not saved: ${error instanceof Error ? error.message : String(error)}; choose another file`);
  }
}
