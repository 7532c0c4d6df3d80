import { announce } from "../announce.svelte.ts";
import { messageOf, requestJson } from "../api.ts";
import { newId } from "../new-id.ts";
import { answerParts } from "./answering.ts";
import type { Conversation, Pane, Turn, WritingSettings } from "./conversation.ts";
import { branchesOf, merged, messagesOf, newestLeaf, pathTo, textBefore } from "./conversation.ts";
import { fitOf } from "./fitting.ts";
import { SentenceReader } from "./sentences.ts";
import { readConversation, watchConversation, writeConversation } from "./shelf.ts";

/** Not every token is written down: the browser's storage is slow. */
const saveMs = 700;

/** A conversation under way: what is said in it, and who is answering. */
export class ChatSession {
  conversation: Conversation = $state.raw() as Conversation;
  /** Why the last answer failed; "" where it did not. */
  trouble = $state("");
  /** Whether the browser has no room for it: it would be lost with the tab. */
  isUnsaved = $state(false);
  /** Models that go on with a text, as they have no chat template; known once asked. */
  kinds: Readonly<Record<string, "chat" | "text">> = $state.raw({});
  #writing: ReadonlyMap<string, AbortController> = $state.raw(new Map());
  #timer: ReturnType<typeof setTimeout> | undefined;
  #unwatch: () => void;
  /** Writes down what there is, with what another window wrote down meanwhile. */
  readonly #save = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const stored = readConversation(this.conversation.id);
    if (stored !== null) this.conversation = merged(this.conversation, stored);
    if (Object.keys(this.conversation.turns).length > 0) this.isUnsaved = !writeConversation(this.conversation);
  };

  constructor(conversation: Conversation) {
    this.conversation = conversation;
    this.#unwatch = watchConversation(conversation.id, (other) => {
      this.conversation = merged(this.conversation, other);
    });
    addEventListener("pagehide", this.#save);
  }

  get isWriting(): boolean {
    return this.#writing.size > 0;
  }

  /** Whether this page is writing a turn; one that another page left unfinished is not. */
  isBeingWritten({ id }: Turn): boolean {
    return this.#writing.has(id);
  }

  get settings(): WritingSettings {
    return this.conversation.settings;
  }

  turnsOf(pane: Pane): Turn[] {
    return pathTo(this.conversation, pane.leaf);
  }

  branchesOf(turn: Turn): Turn[] {
    return branchesOf(this.conversation, turn);
  }

  /** Whether a model reads conversations, or only goes on with texts. */
  async kindOf(model: string): Promise<"chat" | "text"> {
    const known = this.kinds[model];
    if (known !== undefined) return known;
    const query = new URLSearchParams({ model });
    const info = await requestJson<{ readonly chat_template: string | null }>(`tokenizer_info?${query}`);
    const kind = info.chat_template === null ? "text" : "chat";
    this.kinds = { ...this.kinds, [model]: kind };
    return kind;
  }

  setSettings(change: Partial<WritingSettings>): void {
    this.#set({ settings: { ...this.settings, ...change } });
  }

  setPanes(panes: readonly Pane[]): void {
    this.#set({ panes });
  }

  /** Shows another branch: the newest end of what was said after a turn. */
  show(pane: number, turn: Turn): void {
    this.#point(pane, newestLeaf(this.conversation, turn.id));
  }

  /** Says something on all sides, and lets each side's model answer. */
  async say(content: string): Promise<void> {
    const said = new Map<string | null, string>();
    for (const { leaf } of this.conversation.panes) {
      if (!said.has(leaf)) said.set(leaf, this.#add({ parent: leaf, role: "user", content }).id);
    }
    this.setPanes(this.conversation.panes.map((pane) => ({ ...pane, leaf: said.get(pane.leaf) ?? null })));
    await Promise.all(this.conversation.panes.map((_, pane) => this.answer(pane)));
  }

  /** Lets a side's model answer its last turn, or the one before an answer again. */
  async answer(pane: number, parent = this.conversation.panes[pane]?.leaf ?? null): Promise<void> {
    const turn = this.#add({ parent, role: "assistant", content: "", finish: "writing" });
    this.#point(pane, turn.id);
    await this.#write(pane, turn);
  }

  /** Lets a side's model answer where the last turn is a person's. */
  async answerIfAsked(pane: number): Promise<void> {
    const leaf = this.conversation.panes[pane]?.leaf ?? "";
    if (this.conversation.turns[leaf]?.role === "user") await this.answer(pane);
  }

  /** Says a turn otherwise, as another branch; what a person said is answered again. */
  async edit(pane: number, { parent, role }: Turn, content: string): Promise<void> {
    const turn = this.#add({ parent, role, content });
    this.#point(pane, turn.id);
    if (role === "user") await this.answer(pane, turn.id);
  }

  /** Goes on from another token than the one that was written at a place, as another branch. */
  async goOnFrom(pane: number, turn: Turn, place: number, other: string, isEnd: boolean): Promise<void> {
    const tokens = turn.tokens?.slice(0, place) ?? [];
    const old = turn.tokens?.[place];
    const chosen = { text: other, logprob: old?.top.find(([text]) => text === other)?.[1] ?? 0, top: old?.top ?? [] };
    const { parent, model } = turn;
    const before = textBefore(tokens, tokens.length);
    const start = isEnd ? { content: before, tokens } : { content: before + other, tokens: [...tokens, chosen] };
    const finish = isEnd ? "stop" : "writing";
    const begun = this.#add({ parent, role: "assistant", ...start, finish, ...(model === undefined ? {} : { model }) });
    this.#point(pane, begun.id);
    if (!isEnd) await this.#write(pane, begun);
  }

  /** Goes on with an answer that was cut. */
  async goOn(pane: number, turn: Turn): Promise<void> {
    await this.#write(pane, this.#change(turn.id, { finish: "writing" }));
  }

  /** Ends what is being written; what is there stays. */
  stop(): void {
    for (const controller of this.#writing.values()) controller.abort();
  }

  close(): void {
    this.stop();
    this.#unwatch();
    removeEventListener("pagehide", this.#save);
    this.#save();
  }

  async #write(pane: number, begun: Turn): Promise<void> {
    const model = this.conversation.panes[pane]?.model ?? "";
    const controller = new AbortController();
    this.#writing = new Map([...this.#writing, [begun.id, controller]]);
    this.trouble = "";
    const start = performance.now();
    const seed = this.settings.seed ?? Math.floor(Math.random() * 2 ** 31);
    const reader = new SentenceReader(announce);
    try {
      this.#change(begun.id, { model, seed });
      const finish = await this.#receive(model, begun, { seed, controller, reader });
      this.#change(begun.id, { finish: controller.signal.aborted ? "stopped" : finish });
    } catch (error) {
      this.#change(begun.id, { finish: controller.signal.aborted ? "stopped" : "failed" });
      if (!controller.signal.aborted) this.trouble = `${model}: ${messageOf(error)}`;
    } finally {
      reader.end();
      this.#change(begun.id, { seconds: (performance.now() - start) / 1000 });
      this.#writing = new Map([...this.#writing].filter(([id]) => id !== begun.id));
      this.#save();
    }
  }

  async #receive(
    model: string,
    begun: Turn,
    { seed, controller, reader }: { seed: number; controller: AbortController; reader: SentenceReader },
  ): Promise<"stop" | "length"> {
    const { signal } = controller;
    const isChat = (await this.kindOf(model)) === "chat";
    const before = pathTo(this.conversation, begun.parent);
    const turns = begun.content === "" ? before : [...before, begun];
    const { leftOut } = await fitOf({ model, isChat }, turns, this.settings, signal);
    const read = turns.slice(leftOut);
    const asked = isChat
      ? { model, messages: messagesOf(read, this.settings.system) }
      : { model, prompt: read.map(({ content }) => content).join("") };
    let { content, tokens = [] } = begun;
    let [finish, changed]: ["stop" | "length", boolean] = ["stop", false];
    const show = (): void => {
      changed = false;
      this.#change(begun.id, { content, ...(tokens.length > 0 ? { tokens } : {}) });
    };
    for await (const part of answerParts(asked, this.settings, seed, signal)) {
      content += part.text;
      if (part.tokens.length > 0) tokens = [...tokens, ...part.tokens];
      reader.push(part.text);
      finish = part.finish ?? finish;
      if (part.usage) this.#change(begun.id, { usage: part.usage });
      if (!changed) requestAnimationFrame(show); // several parts may come before the next picture
      changed = true;
    }
    show();
    return finish;
  }

  #add(turn: Omit<Turn, "id" | "version">): Turn {
    const whole = { ...turn, id: newId(), version: 1 };
    this.#set({ turns: { ...this.conversation.turns, [whole.id]: whole } });
    return whole;
  }

  #change(id: string, change: Partial<Turn>): Turn {
    const turn = this.conversation.turns[id];
    if (turn === undefined) throw new Error("internal: a turn is gone");
    const next = { ...turn, ...change, version: turn.version + 1 };
    this.#set({ turns: { ...this.conversation.turns, [id]: next } });
    return next;
  }

  #point(pane: number, leaf: string): void {
    this.setPanes(this.conversation.panes.map((one, i) => (i === pane ? { ...one, leaf } : one)));
  }

  #set(change: Partial<Conversation>): void {
    this.conversation = { ...this.conversation, ...change, changedAt: Date.now() };
    this.#timer ??= setTimeout(this.#save, saveMs);
  }
}
