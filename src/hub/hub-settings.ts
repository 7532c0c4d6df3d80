import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { SettingsError } from "../core/errors.ts";
import { fileError, systemCode } from "../files/file-error.ts";
import { expandHome } from "../files/home-path.ts";

/** Which hub, on whose behalf, and where what it gave is kept. */
export interface HubSettings {
  /** Without a slash at its end: `https://huggingface.co`. */
  readonly endpoint: string;
  readonly token: string | null;
  /** Folder with one folder for each repository. */
  readonly cache: string;
  /** Whether only the cache is asked. */
  readonly isOffline: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * What the environment says, in the variables and with the defaults of Python's `huggingface_hub`: `HF_ENDPOINT`,
 * `HF_TOKEN` (or the file that `hf auth login` writes), `HF_HUB_CACHE`, `HF_HOME`, `XDG_CACHE_HOME`, `HF_HUB_OFFLINE`.
 *
 * @throws {SettingsError} when an address or a token is none.
 * @throws {FileError} when the file of the token cannot be read.
 */
export async function hubSettings(environment: Environment = process.env): Promise<HubSettings> {
  const isYes = (name: string): boolean => /^(1|true|yes|on)$/i.test(environment[name] ?? "");
  return {
    endpoint: endpointOf(environment.HF_ENDPOINT || "https://huggingface.co"),
    token: await tokenOf(environment),
    cache: hubCache(environment),
    isOffline: isYes("HF_HUB_OFFLINE") || isYes("TRANSFORMERS_OFFLINE"),
  };
}

/** The folder of `huggingface_hub`'s cache, whether it exists or not. */
export function hubCache(environment: Environment = process.env): string {
  const { HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE } = environment;
  return expandHome(HF_HUB_CACHE || HUGGINGFACE_HUB_CACHE || join(home(environment), "hub"));
}

function home({ HF_HOME, XDG_CACHE_HOME }: Environment): string {
  return expandHome(HF_HOME || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "huggingface"));
}

function endpointOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url !== null && /^https?:$/.test(url.protocol) && url.search === "" && url.hash === "" && url.username === "") {
    return url.href.replace(/\/+$/, "");
  }
  throw new SettingsError(
    `HF_ENDPOINT: ${JSON.stringify(text)} is no address of a server; write https://host, or unset it`,
  );
}

async function tokenOf(environment: Environment): Promise<string | null> {
  const { HF_TOKEN, HUGGING_FACE_HUB_TOKEN, HF_TOKEN_PATH } = environment;
  const file = expandHome(HF_TOKEN_PATH || join(home(environment), "token"));
  const given = (HF_TOKEN || HUGGING_FACE_HUB_TOKEN || "").trim();
  const token = given === "" ? await readToken(file) : given;
  if (token === "") return null;
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  const where = given === "" ? file : "HF_TOKEN";
  throw new SettingsError(`${where}: has spaces or characters that no token has; copy the token again, or remove it`);
}

async function readToken(file: string): Promise<string> {
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(systemCode(error) ?? "")) return "";
    throw fileError(file, "read", error);
  }
}
