import { z } from "zod";
import { mostOf } from "../core/most-of.ts";
import type { ChatRow, EncodedConversation, PackedBatch } from "../data/chat-rows.ts";
import { chatRows, encodeConversations, packRows } from "../data/chat-rows.ts";
import type { Conversation } from "../data/conversations.ts";
import { readConversations } from "../data/conversations.ts";
import type { HeldOut } from "../data/hold-out.ts";
import type { Assistant } from "../generate/assistant.ts";
import type { MicroBatch } from "../train/run.ts";
import { heldOutSettings, readHeldOut } from "./held-out.ts";
import { badRowSettings, contextSettings, noteLongRows, readNotingBad, resolveContext } from "./row-settings.ts";
import type { StageEnvironment } from "./stage.ts";

/** Which conversations a stage reads and how it makes rows of them, to spread into its schema. */
export const conversationSettings = {
  data: z
    .array(z.string())
    .describe("conversations: files of JSON, CSV or Parquet, or globs")
    .meta({ placeholder: "file", isData: true }),
  ...heldOutSettings({ files: "conversations to evaluate on", of: "data", share: 0.05 }),
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
export function readTalks(
  settings: ConversationSettings,
  { note, signal }: StageEnvironment,
): Promise<HeldOut<Conversation>> {
  const read = (paths: readonly string[]): Promise<Conversation[]> =>
    readNotingBad(settings, { note, signal }, (bad) => readConversations(paths, bad));
  // By what is asked first: an instruction of the system is often the same in all conversations.
  const question = ({ messages }: Conversation): string =>
    JSON.stringify(messages.find(({ role }) => role === "user") ?? messages[0]);
  return readHeldOut(settings, read, question);
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
    const total = conversations.length;
    const longest = mostOf(conversations, ({ length }) => length);
    noteLongRows(note, { skipped: tooLong, total, noun: "conversations", longest, context, model: most });
    if (unlearnt > 0) note(`left out ${unlearnt} of ${total} conversations: nothing to learn within the context`);
    return settings.packing ? packRows(own, context) : own;
  });
  return { rows, evaluation, context };
}

/** Micro-batches that weigh by the tokens they train on. */
export function byTrained(batches: readonly PackedBatch[]): MicroBatch<PackedBatch>[] {
  const total = batches.reduce((sum, { trained }) => sum + trained, 0);
  return batches.map((batch) => ({ batch, share: batch.trained / total, tokens: batch.batch * batch.time }));
}
