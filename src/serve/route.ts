import type { z } from "zod";
import type { ApiError } from "./api-error.ts";
import type { Feedback } from "./feedback/feedback.ts";
import type { JobTable } from "./jobs/job-table.ts";
import type { Metrics } from "./metrics.ts";
import type { ModelTable } from "./model-table.ts";
import type { RunTable } from "./run-table.ts";

/** Something that goes on, and is told when the server ends before it. */
export interface UnderWay {
  fail(error: ApiError): void;
}

/** What routes work with: one for each server. */
export interface Service {
  readonly models: ModelTable;
  readonly metrics: Metrics;
  readonly runs: RunTable;
  /** Null where nobody allowed to start any. */
  readonly jobs: JobTable | null;
  /** What people say about answers; null where nothing is kept. */
  readonly feedback: Feedback | null;
  /** Requests that are being read and handled, and whatever is being generated for those whose answer has begun. */
  readonly active: Set<UnderWay>;
  /** Whether it takes no more requests. */
  readonly isStopping: () => boolean;
  /** Writes an error down that was not foreseen. */
  readonly defect: (where: string, error: unknown) => void;
}

/** A request that was let in, and read. */
export interface Asked<Body = unknown> {
  readonly service: Service;
  readonly body: Body;
  /** Whose key it came with; the same for all where there are no keys. */
  readonly owner: string;
  /** Is aborted when the client goes. */
  readonly signal: AbortSignal;
  /** What stands in the path in the place of a name. */
  readonly parameter: (name: string) => string;
  readonly query: (name: string) => string | undefined;
  /** All values of a name in the query, in order. */
  readonly queries: (name: string) => readonly string[];
  readonly header: (name: string) => string | null;
}

/** What a route answers with, as its description says it. */
export type AnswerShape = { readonly type: "json"; readonly schema: z.ZodType } | { readonly type: "text" };

/** One place of the interface. The table of them is what the server knows; its description follows from it. */
export interface Route<Body extends z.ZodType = z.ZodType> {
  readonly method: "GET" | "POST";
  /** With `:name` for a part that may be anything. */
  readonly path: string;
  readonly summary: string;
  /** What the body has to be; null where there is none. */
  readonly body: Body | null;
  readonly answer: AnswerShape;
  /** Whether the answer may also be a stream of events. */
  readonly streams?: boolean;
  /** Answered without a key, and while the server stops. */
  readonly isOpen?: boolean;
  handle(asked: Asked<z.output<Body>>): Promise<Response> | Response;
}

/** A route's path as it is shown: `/v1/models/{id}`. */
export function shownPath({ path }: Pick<Route, "path">): string {
  return path.replaceAll(/:(\w+)(\{[^}]*\})?/g, "{$1}");
}

/** Gives a route literal its types, and nothing else. */
export function defineRoute<Body extends z.ZodType>(route: Route<Body>): Route<Body> {
  return route;
}

/** A route that is asked without a body, and answers with JSON. */
export function defineGet({
  answer,
  ...route
}: Omit<Route, "method" | "body" | "answer"> & { readonly answer: z.ZodType }): Route {
  return { ...route, method: "GET", body: null, answer: { type: "json", schema: answer } };
}

/** A route that is asked with JSON, and answers with it. */
export function definePost<Body extends z.ZodType>({
  answer,
  ...route
}: Omit<Route<Body>, "method" | "answer"> & { readonly answer: z.ZodType }): Route<Body> {
  return { ...route, method: "POST", answer: { type: "json", schema: answer } };
}

/** An answer as JSON. */
export function json(value: object, status = 200): Response {
  return new Response(JSON.stringify(value), { status, headers: { "content-type": "application/json" } });
}
