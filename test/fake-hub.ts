import { createHash } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** Contents of a repository by path. Weights lie on a server of their own, as large files do. */
export type RepositoryFiles = Record<string, string | Uint8Array>;

/** Answers a request otherwise than a hub does; false leaves it to the hub. */
export type Fault = (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;

/** The commit at which every repository is. */
export const commit = "0123456789abcdef0123456789abcdef01234567";

/** Checksum that the contents have in a repository: large files' SHA-256, git's SHA-1 of others. */
export function checksum(path: string, contents: string | Uint8Array): string {
  const bytes = Buffer.from(contents);
  if (isLarge(path)) return createHash("sha256").update(bytes).digest("hex");
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}

const isLarge = (path: string): boolean => /\.(safetensors|gguf|bin)$/.test(path);

/** A hub on loopback with the few endpoints that fetching takes, and a second server for large files. */
export class FakeHub implements AsyncDisposable {
  readonly repositories: Record<string, RepositoryFiles> = {};
  /** What was asked: path, range and whether a token came with it. */
  readonly asked: { url: string; server: "hub" | "store"; range: string | undefined; token: string | undefined }[] = [];
  /** Misbehaviour of both servers. */
  fault: Fault = () => false;
  /** Changes what the list of files says. */
  relist: (entries: Record<string, unknown>[]) => unknown = (entries) => entries;
  readonly #hub: Server = createServer((request, response) => this.#answer("hub", request, response));
  readonly #store: Server = createServer((request, response) => this.#answer("store", request, response));

  static async start(): Promise<FakeHub> {
    const hub = new FakeHub();
    for (const server of [hub.#hub, hub.#store]) await once(server.listen(0, "127.0.0.1"), "listening");
    return hub;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#hub.address() as AddressInfo).port}`;
  }

  get storeAddress(): string {
    return `http://127.0.0.1:${(this.#store.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of [this.#hub, this.#store]) {
      const closed = once(server, "close");
      server.close().closeAllConnections();
      await closed;
    }
  }

  #answer(server: "hub" | "store", request: IncomingMessage, response: ServerResponse): void {
    const { url = "", headers } = request;
    this.asked.push({ url, server, range: headers.range, token: headers.authorization });
    void (async () => {
      if (await this.fault(request, response)) return;
      if (server === "store") this.#stored(request, response);
      else this.#hubs(new URL(url, this.endpoint), request, response);
    })();
  }

  #hubs(url: URL, request: IncomingMessage, response: ServerResponse): void {
    const [, model = "", kind = "", revision = ""] =
      /^\/api\/models\/(.+?)\/(revision|tree)\/([^/]+)$/.exec(url.pathname) ?? [];
    const [, name = model, path = ""] = /^\/(.+?)\/resolve\/[^/]+\/(.+)$/.exec(decodeURIComponent(url.pathname)) ?? [];
    const files = this.repositories[name];
    if (files === undefined) refuse(response, 404, "RepoNotFound");
    else if (kind === "") this.#resolved(name, path, request, response);
    else if (!["main", "tag", commit].includes(revision)) refuse(response, 404, "RevisionNotFound");
    else if (kind === "revision") json(response, { _id: "1", id: name, sha: commit, private: false });
    else json(response, this.relist(entriesOf(files)));
  }

  #resolved(name: string, path: string, request: IncomingMessage, response: ServerResponse): void {
    const contents = this.repositories[name]?.[path];
    if (contents === undefined) {
      refuse(response, 404, "EntryNotFound");
      return;
    }
    const etag = `"${checksum(path, contents)}"`;
    response.setHeader("x-repo-commit", commit);
    if (isLarge(path)) {
      response.setHeader("x-linked-etag", etag).setHeader("x-linked-size", Buffer.from(contents).length);
      response.writeHead(302, { location: `${this.storeAddress}/${name}/${path}` }).end();
    } else send(request, response, Buffer.from(contents), etag);
  }

  /** The store names contents in its own way. */
  #stored(request: IncomingMessage, response: ServerResponse): void {
    const [, name = "", path = ""] = /^\/([^/]+\/[^/]+)\/(.+)$/.exec(request.url ?? "") ?? [];
    const bytes = Buffer.from(this.repositories[name]?.[path] ?? "");
    send(request, response, bytes, `"${createHash("md5").update(bytes).digest("hex")}-1"`);
  }
}

function entriesOf(files: RepositoryFiles): Record<string, unknown>[] {
  return Object.entries(files).map(([path, contents]) => {
    const size = Buffer.from(contents).length;
    const oid = checksum(path, contents);
    if (!isLarge(path)) return { type: "file", path, size, oid };
    return { type: "file", path, size, oid: "0".repeat(40), lfs: { oid, size, pointerSize: 130 } };
  });
}

/** Sends a file, or what is left of it if it is still the one that was begun. */
export function send(request: IncomingMessage, response: ServerResponse, bytes: Uint8Array, etag: string): void {
  const { range, "if-range": condition } = request.headers;
  const start = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
  response.setHeader("etag", etag);
  if (start === 0 || (condition !== undefined && condition !== etag)) {
    response.writeHead(200, { "content-length": bytes.length }).end(bytes);
  } else if (start >= bytes.length) {
    response.writeHead(416, { "content-range": `bytes */${bytes.length}` }).end();
  } else {
    const headers = {
      "content-length": bytes.length - start,
      "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}`,
    };
    response.writeHead(206, headers).end(bytes.subarray(start));
  }
}

/** Refuses as the hub does. */
export function refuse(response: ServerResponse, status: number, code?: string, message?: string): void {
  if (code !== undefined) response.setHeader("x-error-code", code);
  if (message !== undefined) response.setHeader("x-error-message", message);
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ error: code ?? "no" }));
}

/** Sends so many bytes of an answer that announces more, and breaks off. */
export function breakOff(
  response: ServerResponse,
  status: number,
  headers: Record<string, string | number>,
  bytes: Uint8Array,
): void {
  response.writeHead(status, headers);
  response.write(bytes, () => setTimeout(() => response.destroy(), 20)); // what is on its way would be lost
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
}
