import { NetworkError } from "../core/errors.ts";
import type { HubSettings } from "./hub-settings.ts";

/** A failure that may pass: the same question is asked again, later. */
export class Interruption extends NetworkError {
  /** How long the server wants to be left alone, or null. */
  readonly retryAfterMs: number | null;

  constructor(message: string, options: ErrorOptions & { readonly retryAfterMs?: number | null } = {}) {
    super(message, options);
    this.retryAfterMs = options.retryAfterMs ?? null;
  }
}

/**
 * What an answer with an error's status means, in one line with what to do. The hub says in `x-error-code` what is
 * missing, and answers 401 for repositories that do not exist, too.
 *
 * @param where - What was asked for: `ORG/NAME`.
 */
export function refusalOf(
  where: string,
  { status, headers }: Pick<Response, "status" | "headers">,
  { endpoint, token }: HubSettings,
): NetworkError {
  if (status === 429 || status >= 500) return passing(where, status, headers);
  const page = `${endpoint}/${where.replace(/[@:].*$/, "")}`;
  const said = headers.get("x-error-message");
  const answered = `${status}${said === null ? "" : `, ${said.slice(0, 200)}`}`;
  const code = headers.get("x-error-code") ?? "";
  const [what, advice] = explained({ status, code, answered, page, hasToken: token !== null });
  return new NetworkError(`${where}: ${what}; ${advice}`);
}

interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly answered: string;
  readonly page: string;
  readonly hasToken: boolean;
}

function explained({ status, code, answered, page, hasToken }: Refusal): readonly [what: string, advice: string] {
  if (code === "GatedRepo") {
    const then = hasToken ? "wait until it is granted" : "set HF_TOKEN to a token of that account";
    return [`is gated (${status})`, `ask for access at ${page}, then ${then}`];
  }
  if (code === "RevisionNotFound") {
    return [`there is no such revision (${status})`, `see ${page}/tree/main for those there are`];
  }
  if (code === "EntryNotFound")
    return [`there is no such file (${status})`, `see ${page}/tree/main for those there are`];
  if (status === 401 && hasToken && code !== "RepoNotFound") {
    return [`the token is not accepted (${answered})`, "set HF_TOKEN to a valid one, or unset it"];
  }
  if (status === 404 || status === 401) {
    const access = hasToken ? "that the token may read it" : "set HF_TOKEN if it is private";
    return [`does not exist or is private (${status})`, `check the name, and ${access}`];
  }
  if (status !== 403) return [`the hub answers ${answered}`, "check HF_ENDPOINT"];
  const access = hasToken ? "use a token that may read it" : "set HF_TOKEN to the token of an account that has access";
  return [`access is refused (${answered})`, access];
}

function passing(where: string, status: number, headers: Headers): Interruption {
  const seconds = Number(headers.get("retry-after") ?? Number.NaN);
  const what = status === 429 ? "the server wants fewer requests (429)" : `the server fails (${status})`;
  return new Interruption(`${where}: ${what}; run it again later`, {
    retryAfterMs: seconds >= 0 ? seconds * 1000 : null,
  });
}
