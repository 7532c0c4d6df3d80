import { basename, join } from "node:path";
import { DataError, FileError, SettingsError } from "../../core/errors.ts";
import { Mutex } from "../../core/mutex.ts";
import { BadRows } from "../../data/bad-rows.ts";
import type { Candidates, RankingDetails, SavedRanking } from "../../data/ranking-file.ts";
import { candidatesKey, RankingFile } from "../../data/ranking-file.ts";
import { readCandidates } from "../../data/ranking-tasks.ts";
import type { ChatMessage } from "../../text/chat-message.ts";
import { ApiError } from "../api-error.ts";
import type { RankingTask } from "./question.ts";
import { Questions } from "./question.ts";
import { RowFile } from "./row-file.ts";

/** Where a server keeps what people say, and what it lets them rank. */
export interface FeedbackSettings {
  /** Folder of the files below; made with the first of them. */
  readonly folder: string;
  /** Files of prompts and answers, as `stemma sample` writes them. */
  readonly samples: readonly string[];
}

/** The task of the answers that people sent from their chats. */
const chatTask = "from-chat";

/**
 * What people say about answers, in files of which this server is the only writer while it uses them: rankings, answers
 * that are to be ranked, and conversations that are good examples.
 */
export class Feedback {
  readonly folder: string;
  readonly questions = new Questions();
  readonly #tasks: readonly RankingTask[];
  readonly #rankings: Opened<RankingFile>;
  readonly #samples: Opened<RowFile<Candidates>>;
  readonly #conversations: Opened<RowFile<Conversation>>;

  private constructor(folder: string, tasks: readonly RankingTask[]) {
    this.folder = folder;
    this.#tasks = tasks;
    this.#rankings = new Opened(() => RankingFile.open(this.rankingsPath));
    this.#samples = new Opened(() => RowFile.open(join(folder, `${chatTask}.jsonl`), "completions"));
    this.#conversations = new Opened(() => RowFile.open(this.conversationsPath, "messages"));
  }

  /**
   * Reads what is to be ranked.
   *
   * @throws {FileError} when a file of samples cannot be read.
   * @throws {DataError} when one holds something else.
   * @throws {SettingsError} when two have the same name.
   */
  static async open({ folder, samples }: FeedbackSettings): Promise<Feedback> {
    const tasks: RankingTask[] = [];
    for (const path of samples) {
      const name = basename(path).replace(/\.(jsonl|ndjson|json|csv|tsv|parquet)(\.gz)?$/i, "");
      if (name === chatTask || tasks.some((task) => task.name === name)) {
        throw new SettingsError(`rank: there is another file called ${name} already; rename ${path}`);
      }
      tasks.push({ name, all: await readCandidates(path, new BadRows()) });
    }
    return new Feedback(folder, tasks);
  }

  get rankingsPath(): string {
    return join(this.folder, "rankings.jsonl");
  }

  get conversationsPath(): string {
    return join(this.folder, "conversations.jsonl");
  }

  /**
   * The rankings, claimed for this server.
   *
   * @throws {ApiError} 409 naming the process that writes them now, or the line that is none of a ranking.
   */
  rankings(): Promise<RankingFile> {
    return this.#rankings.get();
  }

  /** What there is to rank; the answers sent from chats are the last, if there are any. */
  async tasks(): Promise<readonly RankingTask[]> {
    const { rows } = await this.#samples.get();
    return rows.length === 0 ? this.#tasks : [...this.#tasks, { name: chatTask, all: rows }];
  }

  /**
   * One of the tasks by its name.
   *
   * @throws {ApiError} 404 naming those that there are.
   */
  async task(name: string): Promise<RankingTask> {
    const tasks = await this.tasks();
    const task = tasks.find((one) => one.name === name);
    if (task) return task;
    const shown = JSON.stringify(name.slice(0, 100));
    const names = tasks.map((one) => one.name).join(", ") || "none";
    throw new ApiError(404, `task ${shown} is not here; there is ${names}`, { param: "task", code: "not_found" });
  }

  /** Lets answers be ranked. One that was sent already under this id is there once. */
  async addSample(id: string, candidates: Candidates): Promise<void> {
    await (await this.#samples.get()).add(id, candidates);
  }

  /** Keeps a conversation, as a row that a model can learn from. One that was sent already under this id is there once. */
  async addConversation(id: string, messages: readonly ChatMessage[]): Promise<void> {
    await (await this.#conversations.get()).add(id, { messages });
  }

  /**
   * Saves a ranking; one that was saved already under this id is there once.
   *
   * @param attempt - How often the answers were ranked when they were shown.
   * @returns false when the same person ranked them meanwhile.
   * @throws {ApiError} 409 when it is the id of another decision.
   */
  async save(candidates: Candidates, attempt: number, ranking: Decision): Promise<boolean> {
    const file = await this.rankings();
    return this.#rankings.inTurn(async () => {
      const named = file.named(ranking.id);
      if (named !== null) return sameAnswers(named, candidates, ranking.id);
      const meanwhile = file.ratingsOf(candidates).slice(attempt);
      if (meanwhile.some(({ rater }) => rater === ranking.rater)) return false;
      const { ranks, ...details } = ranking;
      await file.append(candidates, ranks, details);
      return true;
    });
  }

  /** Takes a ranking away again; null where there is none of that id. */
  async undo(id: string): Promise<SavedRanking | null> {
    const file = await this.rankings();
    return this.#rankings.inTurn(() => file.undo(id));
  }

  /** Lets others write the files. */
  async close(): Promise<void> {
    for (const file of [this.#rankings, this.#samples, this.#conversations]) await file.close();
  }
}

/** How somebody ordered answers: the rank of each in their own order, and how that came to be. */
export interface Decision extends RankingDetails {
  readonly id: string;
  readonly ranks: readonly number[];
}

interface Conversation {
  readonly messages: readonly ChatMessage[];
}

function sameAnswers(named: Candidates, candidates: Candidates, id: string): true {
  if (candidatesKey(named) === candidatesKey(candidates)) return true;
  throw new ApiError(409, `id: ${id} names the ranking of other answers; give each decision its own`, { param: "id" });
}

/** A file that is opened when it is first needed, and again where that failed. */
class Opened<File extends { close(): Promise<void> }> {
  readonly #open: () => Promise<File>;
  #file: Promise<File> | null = null;
  readonly #uses = new Mutex();

  constructor(open: () => Promise<File>) {
    this.#open = open;
  }

  async get(): Promise<File> {
    this.#file ??= this.#open();
    const opening = this.#file;
    try {
      return await opening;
    } catch (error) {
      if (this.#file === opening) this.#file = null;
      if (error instanceof FileError) throw new ApiError(409, error.message, { code: "file_unusable", retryAfter: 5 });
      if (error instanceof DataError) throw new ApiError(409, error.message, { code: "other_file" });
      throw error;
    }
  }

  /** Does one thing after the other. */
  inTurn<Result>(body: () => Promise<Result>): Promise<Result> {
    return this.#uses.run(body);
  }

  async close(): Promise<void> {
    await this.#uses.settled();
    await (await this.#file?.catch(() => null))?.close();
    this.#file = null;
  }
}
