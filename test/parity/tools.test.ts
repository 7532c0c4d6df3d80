import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readConversations } from "../../src/data/conversations.ts";
import { trainByteLevelBpe } from "../../src/text/bpe-trainer.ts";
import { ChatTemplate } from "../../src/text/chat-template.ts";
import { ChatEncoder } from "../../src/text/encode-chat.ts";

interface Recorded {
  readonly row: object;
  readonly templates: Readonly<Record<"tagged" | "untagged", string>>;
  readonly text: string;
  /** What the assistant has said of it, by the template's own tags. */
  readonly said: readonly string[];
}

const recorded: Recorded = JSON.parse(
  readFileSync(join(import.meta.dirname, "fixtures", "tools", "tools.json"), "utf8"),
);
const tokenizer = trainByteLevelBpe([recorded.text], { vocabularySize: 300 }).withSpecialTokens([
  "<|im_start|>",
  "<|im_end|>",
]);

test.each(["tagged", "untagged"] as const)(
  "a row with tools, calls and what they gave is written as transformers writes it, and the assistant's part is learnt (%s)",
  async (kind) => {
    const folder = mkdtempSync(join(tmpdir(), "tools-"));
    writeFileSync(join(folder, "rows.jsonl"), `${JSON.stringify(recorded.row)}\n`);
    const [conversation] = await readConversations([join(folder, "rows.jsonl")]);
    rmSync(folder, { recursive: true });
    const encoder = new ChatEncoder(tokenizer, new ChatTemplate(recorded.templates[kind]));
    const { ids, isAnswer } = encoder.encode(conversation?.messages ?? [], conversation?.variables);
    expect(tokenizer.decode(ids)).toBe(recorded.text);
    const said: number[][] = [];
    ids.forEach((id, i) => {
      if (isAnswer[i] === 0) return;
      if (isAnswer[i - 1] !== 1) said.push([]);
      said.at(-1)?.push(id);
    });
    expect(said.map((part) => tokenizer.decode(Int32Array.from(part)))).toEqual(recorded.said);
  },
);
