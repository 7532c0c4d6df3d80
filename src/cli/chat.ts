import { writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { z } from "zod";
import { machineSettings, openMachine } from "../backend/machine-settings.ts";
import { NetworkError, SettingsError } from "../core/errors.ts";
import { expandHome } from "../files/home-path.ts";
import { openAssistant } from "../generate/assistant.ts";
import { ChatSession } from "../generate/chat-session.ts";
import type { Conversation } from "../generate/conversation.ts";
import { cacheSettings } from "../generate/generation-settings.ts";
import { askedSamplingSettings, writingOf } from "../generate/own-sampling.ts";
import { weightSettings } from "../models/weight-choice.ts";
import { RemoteChat } from "../remote/remote-chat.ts";
import { openRemote, refuseLocal, remoteSettings } from "../remote/remote-settings.ts";
import { addedAdapterSettings } from "../stages/adapter-settings.ts";
import type { Io } from "./command.ts";
import { defineCommand } from "./command.ts";
import { WordWrap } from "./word-wrap.ts";

const help =
  "/reset forgets the conversation, /retry answers again, /save FILE writes it, /quit ends; " +
  "Ctrl-C stops an answer, and where there is none the chat";

const ChatSettings = z.object({
  model: z
    .string()
    .min(1)
    .describe("model folder, or a GGUF file; or the model's name, with --base-url")
    .meta({ placeholder: "folder" }),
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
  ...remoteSettings,
  ...weightSettings,
  ...cacheSettings,
  ...machineSettings,
});
type ChatSettings = z.output<typeof ChatSettings>;

/** `stemma chat`: a conversation in the terminal. */
export const chat = defineCommand({
  name: "chat",
  summary: "talk with a model in the terminal",
  group: "Use a model",
  settings: ChatSettings,
  examples: [
    'stemma chat --model runs/sft/final --system "Be kind." --temperature 0.8',
    "stemma chat --model some-model --base-url http://127.0.0.1:8000/v1",
  ],
  async run(settings, io) {
    const { message } = settings;
    const conversation = await open(settings, io);
    if (message === undefined) await converse(conversation, io);
    else await show(conversation.say(message, io.stopSignal()), io);
    return { messages: conversation.messages };
  },
});

async function open(settings: ChatSettings, io: Io): Promise<Conversation> {
  const { baseUrl, model: name, system, seed, adapter, weights, cacheType } = settings;
  if (baseUrl !== undefined) {
    refuseLocal(baseUrl, { adapter, weights, "cache-type": cacheType });
    const server = await openRemote({ ...settings, baseUrl }, name, io);
    return new RemoteChat(server, settings);
  }
  const backend = await openMachine(settings, io);
  const { model, encoder } = await openAssistant(name, backend, weights ?? "stored", adapter);
  const { sampling, maxNewTokens, note } = await writingOf(name, settings);
  if (note !== null) io.note(note);
  return new ChatSession(model, encoder, { system, seed, sampling, maxNewTokens: maxNewTokens ?? 256, cacheType });
}

/** Reads lines until there are no more. */
async function converse(conversation: Conversation, io: Io): Promise<void> {
  if (io.input.isTTY === true) io.note(help);
  const lines = createInterface({ input: io.input });
  let answering: AbortController | null = null;
  const release = io.onInterrupt(() => {
    if (answering !== null && !answering.signal.aborted) {
      answering.abort();
      return true;
    }
    io.write("\n"); // what the shell writes next begins in a line of its own
    return false;
  });
  try {
    io.write("> ");
    for await (const line of lines) {
      if (line.trim() === "/quit") break;
      answering = new AbortController();
      if (line.trim() !== "") await answer(line.trim(), conversation, answering.signal, io);
      answering = null;
      io.write("> ");
    }
    io.write("\n");
  } finally {
    release();
    lines.close(); // a terminal that is still read from keeps the process alive
  }
}

/** Follows a line. What cannot be answered is said, and ends nothing. */
async function answer(line: string, conversation: Conversation, signal: AbortSignal, io: Io): Promise<void> {
  try {
    await follow(line, conversation, signal, io);
  } catch (error) {
    if (signal.aborted) io.write("\n");
    else if (error instanceof SettingsError || error instanceof NetworkError) io.note(error.message);
    else throw error;
  }
}

async function follow(line: string, conversation: Conversation, signal: AbortSignal, io: Io): Promise<void> {
  const [command, ...rest] = line.split(/\s+/);
  if (!line.startsWith("/")) return show(conversation.say(line, signal), io);
  switch (command) {
    case "/reset":
      conversation.reset();
      return io.note("forgotten");
    case "/retry":
      return show(conversation.retry(signal), io);
    case "/save":
      return save(rest.join(" "), conversation, io);
    case "/help":
      return io.note(help);
    default:
      return io.note(`${command} is unknown; ${help}`);
  }
}

async function show(pieces: AsyncIterable<string>, io: Io): Promise<void> {
  const lines = new WordWrap(() => io.columns);
  try {
    for await (const piece of pieces) io.write(lines.add(piece));
  } finally {
    io.write(lines.end());
  }
  io.write("\n");
}

/** As a row that `stemma sft` reads. */
async function save(file: string, conversation: Conversation, io: Io): Promise<void> {
  const path = expandHome(file);
  if (path === "") return io.note("/save needs a file, such as /save talk.jsonl");
  try {
    await writeFile(path, `${JSON.stringify({ messages: conversation.messages })}\n`, { flag: "ax" });
    io.note(`saved in ${path}`);
  } catch (error) {
    io.note(`not saved: ${error instanceof Error ? error.message : String(error)}; choose another file`);
  }
}
