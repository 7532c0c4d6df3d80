import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import { Hono } from "hono";
import { StemmaError } from "../core/errors.ts";
import type { AccessRules } from "./access.ts";
import { checkHost, checkOrigin, corsHeaders, preflightHeaders } from "./access.ts";
import { ApiError } from "./api-error.ts";
import type { ApiKeys } from "./api-keys.ts";
import { readFields } from "./fields.ts";
import { newId } from "./new-id.ts";
import { readJsonBody } from "./read-body.ts";
import type { Asked, Route, Service, UnderWay } from "./route.ts";
import { shownPath } from "./route.ts";
import type { StaticFiles } from "./static-files.ts";

/** What stands beside a request while it is handled. */
interface Variables {
  readonly Variables: { owner: string; route: string };
  readonly Bindings: HttpBindings;
}
type RequestContext = Context<Variables>;

/** Who may ask a server. */
export interface Doors {
  readonly rules: AccessRules;
  /** Null where no key is needed. */
  readonly keys: ApiKeys | null;
}

/** What a server knows how to answer. */
export interface Offer {
  readonly routes: readonly Route[];
  /** Files of the browser app, for which no key is asked. */
  readonly files: StaticFiles;
}

/** Headers of every answer that has none of its own: it is data, for whoever asked, now. */
const safeHeaders = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
} as const;

/**
 * The server as a function of requests. In this order: the name it is addressed by, the page that asks, the key, the route,
 * the body.
 */
export function createApp({ routes, files }: Offer, service: Service, doors: Doors): Hono<Variables> {
  const app = new Hono<Variables>();
  const openPaths = new Set([...routes.filter(({ isOpen }) => isOpen).map(({ path }) => path), ...files.paths]);
  app.use(async (context, next) => {
    context.set("route", "none");
    await next();
    finish(context, service);
  });
  app.use(async (context, next) => {
    const { headers } = context.req.raw;
    checkHost(headers.get("host"), doors.rules, context.env.incoming.socket.localAddress);
    const cors = corsHeaders(checkOrigin(headers, doors.rules));
    for (const [name, value] of Object.entries(cors)) context.header(name, value);
    if (context.req.method === "OPTIONS" && cors["access-control-allow-origin"] !== undefined) {
      return new Response(null, { status: 204, headers: { ...cors, ...preflightHeaders } });
    }
    const isOpen = openPaths.has(context.req.path);
    context.set("owner", isOpen ? "" : (doors.keys?.ownerOf(headers.get("authorization") ?? null) ?? "anyone"));
    if (service.isStopping() && !isOpen) {
      throw new ApiError(503, "the server stops; ask another one, or this one later", {
        code: "stopping",
        retryAfter: 5,
      });
    }
    return next();
  });
  for (const path of files.paths) {
    app.get(path, (context) => {
      context.set("route", "app");
      return files.answer(path, context.req.raw.headers);
    });
  }
  for (const route of routes) {
    const shown = shownPath(route);
    app.on(route.method, route.path, (context) => {
      context.set("route", shown);
      return handle(route, context, service);
    });
  }
  const methods = [...routes, ...files.paths.map((path) => ({ path, method: "GET" }))];
  for (const path of new Set(methods.map((route) => route.path))) {
    const allowed = methods.filter((route) => route.path === path).map(({ method }) => method);
    app.all(path, (context) => {
      const shown = shownPath({ path });
      context.set("route", shown);
      throw otherMethod(context.req.method, shown, allowed);
    });
  }
  app.notFound((context) => failure(context, noRoute(context)));
  app.onError((error, context) => failure(context, asApiError(error, context, service)));
  return app;
}

/** Handles a request, as far as the beginning of its answer; a server that ends meanwhile says so in the answer's place. */
async function handle(route: Route, context: RequestContext, service: Service): Promise<Response> {
  let fail: UnderWay["fail"] = () => {};
  const end = new Promise<never>((_, reject) => {
    fail = reject;
  });
  const request: UnderWay = { fail };
  service.active.add(request);
  try {
    return await Promise.race([answerOf(route, context, service), end]);
  } finally {
    service.active.delete(request);
  }
}

async function answerOf(route: Route, context: RequestContext, service: Service): Promise<Response> {
  const body = route.body === null ? undefined : readFields(route.body, await readJsonBody(context.env.incoming));
  const asked: Asked = {
    service,
    body,
    owner: context.get("owner"),
    signal: context.req.raw.signal,
    parameter: (name) => context.req.param(name) ?? "",
    query: (name) => context.req.query(name),
    queries: (name) => context.req.queries(name) ?? [],
    header: (name) => context.req.raw.headers.get(name),
  };
  return route.handle(asked);
}

/** What every answer has, and is counted by. */
function finish(context: RequestContext, { metrics }: Service): void {
  context.header("x-request-id", newId("req"));
  for (const [name, value] of Object.entries(safeHeaders)) {
    if (!context.res.headers.has(name)) context.header(name, value);
  }
  metrics.requests.add(1, { route: context.get("route"), status: String(context.res.status) });
}

function failure(context: RequestContext, error: ApiError): Response {
  for (const [name, value] of Object.entries(error.headers)) context.header(name, value);
  return context.json(error.body, error.status as 400);
}

function asApiError(error: unknown, context: RequestContext, service: Service): ApiError {
  if (error instanceof ApiError) return error;
  if (context.req.raw.signal.aborted) return new ApiError(499, "the client has gone");
  service.defect(context.get("route"), error);
  const message = error instanceof StemmaError ? error.message : "the server failed; its own messages say where";
  return new ApiError(500, message, { code: "internal_error" });
}

function otherMethod(method: string, path: string, allowed: readonly string[]): ApiError {
  const allow = allowed.join(", ");
  return new ApiError(405, `${path} is asked with ${allow}, not with ${method}`, {
    code: "method_not_allowed",
    headers: { allow },
  });
}

function noRoute({ req }: RequestContext): ApiError {
  const path = JSON.stringify(req.path.slice(0, 100));
  return new ApiError(404, `there is nothing at ${path}; GET /openapi.json lists what there is`, { code: "not_found" });
}
