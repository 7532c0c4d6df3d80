import { z } from "zod";
import { mostOf } from "../core/most-of.ts";
import type { ChatRow, EncodedConversation, PackedBatch } from "../data/chat-rows.ts";
import { chatRows, encodeConversations, packRows } from "../data/chat-rows.ts";
import type { Conversation } from "../data/conversations.ts";
import { readConversations } from "../data/conversations.ts";
import type { HeldOut } from "../data/hold-out.ts";
import { holdOut } from "../data/hold-out.ts";
import type { Assistant } from "../generate/assistant.ts";
import type { MicroBatch } from "../train/run.ts";
import { badRowSettings, contextSettings, longRowsNote, readNotingBad, resolveContext } from "./row-settings.ts";
import type { StageEnvironment } from "./stage.ts";

/** Which conversations a stage reads and how it makes rows of them, to spread into its schema. */
export const conversationSettings = {
  data: z
    .array(z.string())
    .describe("conversations: files of JSON, CSV or Parquet, or globs")
    .meta({ placeholder: "file", isData: true }),
  validation: z
    .array(z.string())
    .default([])
    .describe("conversations to evaluate on; without, a share of the data is held out")
    .meta({ placeholder: "file", isData: true }),
  validationShare: z
    .number()
    .min(0)
    .lt(1)
    .default(0.05)
    .describe("about this share of the data is held out, chosen by what they say: the same ones each time"),
  packing: z.boolean().default(true).describe("put several conversations in a row; they do not see each other"),
  ...badRowSettings,
  ...contextSettings,
  longRows: z
    .enum(["error", "skip", "truncate"])
    .default("error")
    .describe("what to do with a conversation longer than the context"),
} as const;

const Conversations = z.object(conversationSettings);
type ConversationSettings = z.output<typeof Conversations>;

/** Reads the conversations of a run, and those that it is measured by. */
export async function readTalks(
  settings: ConversationSettings,
  { note, signal }: StageEnvironment,
): Promise<HeldOut<Conversation>> {
  const read = (paths: readonly string[]): Promise<Conversation[]> =>
    readNotingBad(settings, { note, signal }, (bad) => readConversations(paths, bad));
  const all = await read(settings.data);
  if (settings.validation.length > 0) return { training: all, heldOut: await read(settings.validation) };
  // By what is asked first: an instruction of the system is often the same in all conversations.
  const question = ({ messages }: Conversation): string =>
    JSON.stringify(messages.find(({ role }) => role === "user") ?? messages[0]);
  return holdOut(all, settings.validationShare, question);
}

/**
 * Rows of the run's context, which is as long as the data asks for where the settings do not say; at most what the model
 * reads, or `most`.
 */
export async function conversationRows(
  { model, encoder }: Assistant,
  { training, heldOut }: HeldOut<Conversation>,
  settings: ConversationSettings & { readonly most?: number },
  { note, signal }: StageEnvironment,
): Promise<{ rows: readonly ChatRow[]; evaluation: readonly ChatRow[]; context: number }> {
  const encode = (conversations: readonly Conversation[]): Promise<EncodedConversation[]> =>
    readNotingBad(settings, { note, signal }, async (bad) => encodeConversations(conversations, encoder, bad));
  const hasTools = training.some(({ variables }) => variables?.tools !== undefined);
  if (hasTools && !encoder.template?.source.includes("tools"))
    note("the rows have tools, for which the chat template has no place");
  const encoded = [await encode(training), await encode(heldOut)];
  const lengths = encoded.flat().map(({ length }) => length);
  const { most = model.settings.context } = settings;
  const context = resolveContext(settings.context, lengths, most);
  const [rows = [], evaluation = []] = encoded.map((conversations): readonly ChatRow[] => {
    if (conversations.length === 0) return [];
    const { rows: own, tooLong, unlearnt } = chatRows(conversations, context, settings.longRows);
    const longest = mostOf(conversations, ({ length }) => length);
    const about = {
      total: conversations.length,
      noun: "conversations",
      longest,
      context,
      model: most,
    };
    const long = longRowsNote({ ...about, count: tooLong, fate: "left out" });
    if (long) note(long);
    if (unlearnt > 0) note(`left out ${unlearnt} of ${about.total} conversations: nothing to learn within the context`);
    return settings.packing ? packRows(own, context) : own;
  });
  return { rows, evaluation, context };
}

/** Micro-batches that weigh by the tokens they train on. */
export function byTrained(batches: readonly PackedBatch[]): MicroBatch<PackedBatch>[] {
  const total = batches.reduce((sum, { trained }) => sum + trained, 0);
  return batches.map((batch) => ({ batch, share: batch.trained / total, tokens: batch.batch * batch.time }));
}
