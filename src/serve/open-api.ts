import { z } from "zod";
import { packageVersion } from "../train/machine.ts";
import { Failure } from "./answers.ts";
import type { Route } from "./route.ts";
import { shownPath } from "./route.ts";

const statuses: Readonly<Record<string, string>> = {
  400: "A field is wrong, or would change the answer and is not built.",
  401: "No key, or an unknown one.",
  403: "The host or the origin is not allowed.",
  404: "There is no such model.",
  413: "The body is too large.",
  415: "The body is no JSON by its headers.",
  429: "The queue, or this key's share of it, is full.",
  500: "The model's engine failed.",
  503: "The model is being opened, the queue moves too slowly, or the server stops.",
};

/** The description of routes, in version 3.0 of OpenAPI. */
export function openApi(routes: readonly Route[]): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    const path = shownPath(route);
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route, path) };
  }
  return {
    openapi: "3.0.3",
    info: { title: "Stemma", version: packageVersion(), license: { name: "MIT" } },
    security: [{}, { key: [] }],
    paths,
    components: {
      schemas: { Failure: schemaOf(Failure, "output") },
      securitySchemes: { key: { type: "http", scheme: "bearer" } },
    },
  };
}

function operation({ method, summary, body, answer, streams = false }: Route, path: string): object {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
  const parameters = names.map((name) => ({ name, in: "path", required: true, schema: { type: "string" } }));
  return {
    operationId: `${method.toLowerCase()}${path.replaceAll(/\W+(\w?)/g, (_, letter: string) => letter.toUpperCase())}`,
    summary,
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body === null
      ? {}
      : { requestBody: { required: true, content: { "application/json": { schema: schemaOf(body, "input") } } } }),
    responses: { "200": success(answer, streams), ...failures(body !== null) },
  };
}

function success(answer: Route["answer"], streams: boolean): object {
  const whole =
    answer.type === "json"
      ? { "application/json": { schema: schemaOf(answer.schema, "output") } }
      : { "text/plain": { schema: { type: "string" } } };
  const pieces = streams ? { "text/event-stream": { schema: { type: "string" } } } : {};
  return { description: "The answer.", content: { ...whole, ...pieces } };
}

function failures(hasBody: boolean): object {
  const content = { "application/json": { schema: { $ref: "#/components/schemas/Failure" } } };
  const possible = Object.entries(statuses).filter(([status]) => hasBody || !["413", "415", "429"].includes(status));
  return Object.fromEntries(possible.map(([status, description]) => [status, { description, content }]));
}

function schemaOf(schema: z.ZodType, io: "input" | "output"): object {
  return z.toJSONSchema(schema, { target: "openapi-3.0", io, unrepresentable: "any" });
}
