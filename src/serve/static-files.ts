import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { brotliCompressSync, gzipSync, constants as zlib } from "node:zlib";
import { systemCode } from "../files/file-error.ts";

/** Files that are handed out as they are, known by their paths since the server began: no path of a request reaches the disk. */
export interface StaticFiles {
  /** Every path that is answered; `/` is `index.html`. */
  readonly paths: readonly string[];
  /** The answer for one of the paths: 304 where the browser has it, compressed where it can read that. */
  answer(path: string, headers: Headers): Response;
}

interface StaticFile {
  readonly type: string;
  readonly tag: string;
  /** Its name has a hash of what is in it, so it never changes. */
  readonly isImmutable: boolean;
  /** By content encoding; compressed when first asked for. */
  readonly bodies: Map<string, Buffer>;
}

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml; charset=utf-8",
};

const pagePolicy =
  "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

/** Reads a built app: `index.html`, and `assets/` with names that have hashes. A folder that is not there has no files. */
export function readStaticFiles(folder: string): StaticFiles {
  const files = new Map<string, StaticFile>();
  for (const name of filesIn(folder)) {
    const type = types[extname(name)];
    if (type === undefined) continue;
    const path = name === "index.html" ? "/" : `/${name}`;
    files.set(path, fileOf(readFileSync(join(folder, name)), type, name.startsWith("assets/")));
  }
  return {
    paths: [...files.keys()],
    answer(path, headers) {
      const file = files.get(path);
      if (file === undefined) throw new Error(`internal: ${path} is no file of the app`);
      return answerOf(file, headers);
    },
  };
}

function filesIn(folder: string): string[] {
  try {
    const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile());
    return files.map((file) =>
      join(file.parentPath, file.name)
        .slice(folder.length + 1)
        .replaceAll("\\", "/"),
    );
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw error;
  }
}

function fileOf(body: Buffer, type: string, isImmutable: boolean): StaticFile {
  const tag = createHash("sha256").update(body).digest("base64url").slice(0, 22);
  return { type, tag, isImmutable, bodies: new Map([["identity", body]]) };
}

function answerOf(file: StaticFile, asked: Headers): Response {
  const encoding = encodingFor(asked.get("accept-encoding") ?? "");
  const tag = `"${file.tag}-${encoding}"`;
  const headers = {
    etag: tag,
    vary: "accept-encoding",
    "cache-control": file.isImmutable ? "public, max-age=31536000, immutable" : "no-cache",
    "content-security-policy": pagePolicy,
  };
  const known = (asked.get("if-none-match") ?? "").split(",").map((entry) => entry.trim().replace(/^W\//, ""));
  if (known.includes(tag)) return new Response(null, { status: 304, headers });
  const body = bodyOf(file, encoding);
  return new Response(new Uint8Array(body), {
    headers: {
      ...headers,
      "content-type": file.type,
      "content-length": String(body.length),
      ...(encoding === "identity" ? {} : { "content-encoding": encoding }),
    },
  });
}

function bodyOf(file: StaticFile, encoding: string): Buffer {
  const known = file.bodies.get(encoding);
  if (known !== undefined) return known;
  const whole = file.bodies.get("identity") ?? Buffer.alloc(0);
  const body =
    encoding === "br"
      ? brotliCompressSync(whole, { params: { [zlib.BROTLI_PARAM_QUALITY]: 9 } })
      : gzipSync(whole, { level: 9 });
  file.bodies.set(encoding, body);
  return body;
}

/** The shortest encoding that a browser reads; what it refuses with `;q=0` it does not. */
function encodingFor(accepted: string): "br" | "gzip" | "identity" {
  const names = accepted
    .toLowerCase()
    .split(",")
    .filter((entry) => !/;\s*q=0(\.0*)?\s*$/.test(entry))
    .map((entry) => entry.split(";")[0]?.trim());
  return names.includes("br") ? "br" : names.includes("gzip") ? "gzip" : "identity";
}
