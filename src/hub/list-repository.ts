import { z } from "zod";
import { NetworkError } from "../core/errors.ts";
import type { HubConnection } from "./hub-connection.ts";
import type { HubReference } from "./hub-reference.ts";
import { formatHubReference, isCommit, isSafePath } from "./hub-reference.ts";

/** A file of a repository. */
export interface HubFile {
  readonly path: string;
  readonly size: number;
  /** Its name in the cache, in hexadecimal digits: SHA-256 of its bytes, or, of small files, the SHA-1 that git makes. */
  readonly hash: string;
}

/** A repository as it is at one commit. */
export interface Repository {
  readonly name: string;
  readonly commit: string;
  readonly files: readonly HubFile[];
}

/** A repository of a model has a few dozen. */
const mostFiles = 20_000;

const Entry = z.object({
  type: z.string(),
  path: z.string(),
  size: z.int().nonnegative(),
  oid: z.string().optional(),
  lfs: z.object({ oid: z.string(), size: z.int().nonnegative() }).nullish(),
});

/**
 * The commit that a revision stands for, and the files it has.
 *
 * @throws {NetworkError} when the hub refuses, or gives something else.
 */
export async function listRepository(connection: HubConnection, reference: HubReference): Promise<Repository> {
  const { modelInfo, listFiles } = await import("@huggingface/hub");
  const { name, revision } = reference;
  const where = formatHubReference({ ...reference, file: null });
  const hub = { hubUrl: connection.settings.endpoint, fetch: fetchJson(connection, where) };
  const { sha: commit } = await modelInfo({ name, revision, additionalFields: ["sha"], ...hub });
  if (typeof commit !== "string" || !isCommit(commit)) throw malformed(where, `commit ${JSON.stringify(commit)}`);
  const files: HubFile[] = [];
  let count = 0;
  for await (const entry of listFiles({ repo: { type: "model", name }, revision: commit, recursive: true, ...hub })) {
    count += 1;
    if (count > mostFiles) {
      throw new NetworkError(
        `${where}: has more than ${mostFiles} files; a model has a few: name the file, ${name}:file`,
      );
    }
    const file = readEntry(where, entry);
    if (file !== null) files.push(file);
  }
  return { name, commit, files };
}

function readEntry(where: string, entry: unknown): HubFile | null {
  const parsed = Entry.safeParse(entry);
  if (!parsed.success) throw malformed(where, `entry ${JSON.stringify(entry)?.slice(0, 100)}`);
  const { type, path, size, oid = "", lfs } = parsed.data;
  if (!isSafePath(path)) {
    throw new NetworkError(
      `${where}: lists ${JSON.stringify(path.slice(0, 100))}, which leads out of its folder or is no name everywhere; nothing of it is fetched: choose another repository`,
    );
  }
  if (type !== "file") return null;
  const hash = lfs ? lfs.oid.replace(/^sha256:/, "") : oid;
  if (!(lfs ? /^[0-9a-f]{64}$/ : /^[0-9a-f]{40}$/).test(hash)) throw malformed(where, `checksum of ${path}`);
  return { path, size: lfs ? lfs.size : size, hash };
}

/** A `fetch` for the client library that goes through the connection: patience, token and messages are its. */
function fetchJson(connection: HubConnection, where: string): typeof fetch {
  const origin = new URL(connection.settings.endpoint).origin;
  return async (input) => {
    const url = input instanceof Request ? input.url : String(input);
    if (new URL(url).origin !== origin) throw malformed(where, `continuation at ${new URL(url).host}`);
    const { text, headers } = await connection.text(where, url);
    try {
      JSON.parse(text);
    } catch (error) {
      throw malformed(where, headers.get("content-type") ?? "text", error);
    }
    const link = headers.get("link");
    return new Response(text, { headers: link === null ? {} : { link } });
  };
}

function malformed(where: string, what: string, cause?: unknown): NetworkError {
  return new NetworkError(
    `${where}: what answers is no hub (its ${what} makes no sense); check HF_ENDPOINT, and that no login page is in between`,
    { cause },
  );
}
