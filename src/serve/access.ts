import { ApiError } from "./api-error.ts";

/** Whom a server answers. */
export interface AccessRules {
  /** Names, beside those of this machine, by which it may be addressed. */
  readonly hosts: readonly string[];
  /** Origins of web pages that may ask it: `https://chat.example`. */
  readonly origins: readonly string[];
}

const ownNames = ["localhost", "127.0.0.1", "[::1]"];

/**
 * Makes sure that a request is meant for this server. A web page can give a name of its own this machine's address (DNS
 * rebinding) and then ask the server as if it were the page's own: the name that it is addressed by tells. The bare address
 * that the connection came in on is no such name.
 *
 * @param localAddress - This end of the connection, as `net.Socket` gives it; undefined where it has gone already.
 * @throws {ApiError} 403 naming the host.
 */
export function checkHost(host: string | null, { hosts }: AccessRules, localAddress: string | undefined): void {
  const name = hostName(host ?? "");
  const address = localAddress?.replace(/^::ffff:(?=\d+\.)/, ""); // IPv4 that comes in on a socket for both
  const addresses = address === undefined ? [] : [address, `[${address}]`];
  if (name !== null && [...ownNames, ...hosts, ...addresses].includes(name)) return;
  const shown = JSON.stringify((host ?? "").slice(0, 100));
  const remedy = name === null ? "--allow-host NAME, and ask it by that" : `--allow-host ${name} to allow it`;
  throw new ApiError(403, `host ${shown} is not a name of this server; start it with ${remedy}`, {
    code: "host_not_allowed",
  });
}

/** The name in a Host header, without its port and in small letters; null where it is none. */
function hostName(host: string): string | null {
  return /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/.exec(host.toLowerCase())?.[1] ?? null;
}

/**
 * The origin that may read the answer; null where no page of another site asks.
 *
 * @throws {ApiError} 403 when a page of another site asks that nobody allowed.
 */
export function checkOrigin(headers: Headers, { origins }: AccessRules): string | null {
  const origin = headers.get("origin");
  const host = headers.get("host")?.toLowerCase();
  if (origin !== null && origins.includes(origin.toLowerCase())) return origin;
  const isForeign = origin !== null && origin !== `http://${host}` && origin !== `https://${host}`;
  if (!isForeign && headers.get("sec-fetch-site") !== "cross-site") return null;
  const who = origin === null ? "a page of another site" : `origin ${JSON.stringify(origin.slice(0, 100))}`;
  throw new ApiError(403, `${who} may not ask this server; start it with --allow-origin to allow it`, {
    code: "origin_not_allowed",
  });
}

/** Headers by which a browser lets a page of an allowed origin read an answer. */
export function corsHeaders(origin: string | null): Record<string, string> {
  if (origin === null) return {};
  return {
    "access-control-allow-origin": origin,
    "access-control-expose-headers": "x-request-id, retry-after",
    vary: "origin",
  };
}

/** Further ones of the answer to a browser that asks whether it may ask. */
export const preflightHeaders = {
  "access-control-allow-methods": "GET, POST",
  "access-control-allow-headers": "authorization, content-type, *",
  "access-control-max-age": "600",
} as const;
