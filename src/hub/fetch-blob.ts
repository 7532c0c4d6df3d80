import { NetworkError } from "../core/errors.ts";
import type { HubAnswer, HubConnection } from "./hub-connection.ts";
import { Interruption } from "./hub-refusal.ts";
import type { HubFile, Repository } from "./list-repository.ts";
import { PartialBlob } from "./partial-blob.ts";

/** Bytes that count as getting on: attempts that end before are few. */
const someProgress = 2 ** 16;

/** What is sent is not what the repository lists: it was changed meanwhile, or a part of it is wrong. */
class Mismatch extends NetworkError {}

/**
 * Fetches a file into the cache, going on where earlier attempts were stopped. A break is followed by another attempt
 * from there on, as long as they get on; contents that turn out to be others are fetched once more from the beginning.
 *
 * @param blob - Path that it gets when it is complete and its checksum right.
 * @param report - Told how many of its bytes are there.
 * @throws {NetworkError} when that does not help, or the server refuses.
 */
export async function fetchBlob(
  connection: HubConnection,
  repository: Repository,
  file: HubFile,
  blob: string,
  report: (bytes: number) => void,
): Promise<void> {
  await PartialBlob.complete(blob, file, (partial) =>
    new Download(connection, repository, file, partial, report).complete(),
  );
}

/** One file and what is known about how it is sent. */
class Download {
  readonly #connection: HubConnection;
  readonly #repository: Repository;
  readonly #file: HubFile;
  readonly #partial: PartialBlob;
  readonly #report: (bytes: number) => void;
  readonly #where: string;
  /** Names that servers gave to the contents they sent, by origin. */
  readonly #etags = new Map<string, string>();
  /** Attempts in a row that got nowhere. */
  #failures = 0;
  #restarts = 0;
  /** Most bytes that were ever there, so that a server that always begins again is not asked for ever. */
  #farthest: number;

  constructor(
    connection: HubConnection,
    repository: Repository,
    file: HubFile,
    partial: PartialBlob,
    report: (bytes: number) => void,
  ) {
    this.#connection = connection;
    this.#repository = repository;
    this.#file = file;
    this.#partial = partial;
    this.#report = report;
    this.#where = `${repository.name}:${file.path}`;
    this.#farthest = partial.length;
    this.#etags.set(new URL(connection.settings.endpoint).origin, `"${file.hash}"`);
  }

  async complete(): Promise<void> {
    while (!this.#partial.isRight) {
      try {
        if (this.#partial.length === this.#file.size)
          throw this.#mismatch("its checksum is not the one that is listed");
        await this.#goOn();
      } catch (error) {
        if (error instanceof Mismatch) await this.#beginAgain(error);
        else if (error instanceof Interruption) await this.#waitAfter(error);
        else throw error;
      }
    }
  }

  async #beginAgain(error: Mismatch): Promise<void> {
    await this.#partial.clear();
    this.#restarts += 1;
    if (this.#restarts > 1) throw new NetworkError(`${error.message}, twice; run it again later`, { cause: error });
  }

  async #waitAfter(error: Interruption): Promise<void> {
    const { length } = this.#partial;
    this.#failures = length >= this.#farthest + someProgress ? 1 : this.#failures + 1;
    this.#farthest = Math.max(this.#farthest, length);
    if (this.#failures > this.#connection.retries) throw error;
    await this.#connection.pause(this.#failures, error);
  }

  /** One attempt at the rest. */
  async #goOn(): Promise<void> {
    const { name, commit } = this.#repository;
    const path = this.#file.path.split("/").map(encodeURIComponent).join("/");
    const url = `${this.#connection.settings.endpoint}/${name}/resolve/${commit}/${path}`;
    const answer = await this.#connection.open(this.#where, url, (origin) => this.#range(origin));
    try {
      this.#refuseOther(answer);
      await this.#begin(answer);
      for await (const chunk of answer.chunks) {
        if (this.#partial.length + chunk.length > this.#file.size) {
          throw this.#mismatch(`more than its ${this.#file.size} bytes are sent`);
        }
        await this.#partial.write(chunk);
        this.#report(this.#partial.length);
      }
    } finally {
      await answer.close();
    }
    const { length } = this.#partial;
    if (length < this.#file.size) {
      throw new Interruption(
        `${this.#where}: ended after ${length} of ${this.#file.size} bytes; run it again to go on`,
      );
    }
  }

  /** What is there need not be sent, if the server still has the same. */
  #range(origin: string): Record<string, string> {
    const { length } = this.#partial;
    const etag = this.#etags.get(origin);
    if (length === 0) return {};
    return { range: `bytes=${length}-`, ...(etag === undefined ? {} : { "if-range": etag }) };
  }

  /** @throws {NetworkError} when the answer is about something else. */
  #refuseOther({ headers, ownHeaders }: HubAnswer): void {
    const { path, hash, size } = this.#file;
    if (/^text\/html\b/i.test(headers.get("content-type") ?? "") && !/\.html?$/.test(path)) {
      throw new NetworkError(
        `${this.#where}: a web page is sent instead of the file; check HF_ENDPOINT, and that no login page is in between`,
      );
    }
    const commit = ownHeaders.get("x-repo-commit");
    if (commit !== null && commit !== this.#repository.commit)
      throw this.#mismatch(`it is sent as of commit ${commit}`);
    const name = (ownHeaders.get("x-linked-etag") ?? ownHeaders.get("etag") ?? "").replace(/^W\/|"/g, "");
    const isChecksum = /^[0-9a-f]+$/.test(name) && name.length === hash.length;
    if (isChecksum && name !== hash) throw this.#mismatch("it was changed while it was fetched");
    const linked = ownHeaders.get("x-linked-size");
    if (linked !== null && Number(linked) !== size)
      throw this.#mismatch(`${linked} bytes are announced instead of ${size}`);
  }

  /** Makes sure that what comes begins where the file ends. */
  async #begin({ status, headers, origin }: HubAnswer): Promise<void> {
    const { size } = this.#file;
    const { length } = this.#partial;
    const etag = headers.get("etag");
    if (etag?.startsWith('"')) this.#etags.set(origin, etag);
    if (status === 206) {
      const [, start, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get("content-range") ?? "") ?? [];
      if (Number(start) === length && (total === "*" || Number(total) === size)) return;
      throw this.#mismatch(`bytes ${headers.get("content-range")} are sent instead of ${length}-${size - 1}/${size}`);
    }
    if (status !== 200) throw this.#mismatch(`the server has no byte ${length} of ${size}`);
    const announced = headers.get("content-length");
    if (announced !== null && Number(announced) !== size) {
      throw this.#mismatch(`${announced} bytes are sent instead of ${size}`);
    }
    if (length > 0) await this.#partial.clear();
  }

  #mismatch(what: string): Mismatch {
    return new Mismatch(`${this.#where}: ${what}`);
  }
}
