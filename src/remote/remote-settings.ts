import { readFile } from "node:fs/promises";
import { z } from "zod";
import { SettingsError } from "../core/errors.ts";
import { fileError } from "../files/file-error.ts";
import { expandHome } from "../files/home-path.ts";
import type { RemoteServer } from "./remote-server.ts";

/** Whose value is the key where no file has it, as OpenAI's own clients have it. */
const keyVariable = "OPENAI_API_KEY";

/** Flags of commands that can ask a server instead of opening a model, to spread into their schema. */
export const remoteSettings = {
  baseUrl: z
    .string()
    .optional()
    .describe("ask an OpenAI-compatible server instead, of which --model is then a model's name: http://host:8000/v1")
    .meta({ placeholder: "url", group: "Server" }),
  apiKeyFile: z
    .string()
    .optional()
    .describe(`file whose first line is the server's key (default: the environment variable ${keyVariable}, if any)`)
    .meta({ placeholder: "path", group: "Server" }),
  timeoutSeconds: z
    .number()
    .positive()
    .max(86_400)
    .default(120)
    .describe("how long one answer of the server may take, or the next piece of one")
    .meta({ group: "Server" }),
  retries: z
    .int()
    .nonnegative()
    .max(100)
    .default(3)
    .describe("further attempts when the server is busy or fails (429, 5xx)")
    .meta({ group: "Server" }),
} as const;

const RemoteSettings = z.object(remoteSettings);
/** {@link remoteSettings}, checked. */
export type RemoteSettings = z.output<typeof RemoteSettings>;

/**
 * The server that settings name.
 *
 * @param note - Is told when the key would go unencrypted to another machine.
 * @throws {SettingsError} when the address is none, or the key is no key.
 * @throws {FileError} when the key's file cannot be read.
 */
export async function openRemote(
  { baseUrl, apiKeyFile, timeoutSeconds, retries }: RemoteSettings & { readonly baseUrl: string },
  model: string,
  { note, signal }: { readonly note: (line: string) => void; readonly signal?: AbortSignal },
): Promise<RemoteServer> {
  const { protocol, hostname } = addressIn(baseUrl);
  const apiKey = apiKeyFile === undefined ? (process.env[keyVariable] ?? null) : await keyIn(apiKeyFile);
  const key = apiKey === null || apiKey === "" ? null : checkedKey(apiKey, apiKeyFile ?? keyVariable);
  const isHere = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
  if (key !== null && protocol === "http:" && !isHere) note(`the key goes to ${hostname} unencrypted; use https there`);
  return { baseUrl, model, apiKey: key, timeoutMs: 1000 * timeoutSeconds, retries, signal };
}

/** @throws {SettingsError} naming settings that say how a model lies here, which a server does not let anyone choose. */
export function refuseLocal(baseUrl: string, given: Readonly<Record<string, unknown>>): void {
  const isGiven = (value: unknown): boolean => value !== undefined && !(Array.isArray(value) && value.length === 0);
  const [name] = Object.entries(given).find(([, value]) => isGiven(value)) ?? [];
  if (name === undefined) return;
  throw new SettingsError(`${name}: is for models here, not for those at ${baseUrl}; leave it out, or --base-url`);
}

function addressIn(baseUrl: string): URL {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new SettingsError(
      `base-url: ${JSON.stringify(baseUrl)} is no http address; give one such as http://127.0.0.1:8000/v1`,
    );
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw new SettingsError("base-url: has more than host, port and path; give a key by --api-key-file");
  }
  return url;
}

async function keyIn(file: string): Promise<string> {
  const path = expandHome(file);
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw fileError(path, "read", error);
  });
  const key = text.split(/\r?\n/)[0]?.trim() ?? "";
  if (key === "") throw new SettingsError(`api-key-file: ${path} has an empty first line; write the key there`);
  return key;
}

function checkedKey(key: string, where: string): string {
  if (/^[\x21-\x7e]{1,4096}$/.test(key)) return key;
  throw new SettingsError(
    `${where}: holds something else than a key: spaces, or characters that no header has; correct it`,
  );
}
