import { z } from "zod";
import { ApiError } from "../api-error.ts";
import { defineGet, defineRoute, json } from "../route.ts";

/** `GET /health`: whether the server, and every engine that it has, answers. */
export const health = defineGet({
  path: "/health",
  summary: "whether the server and its engines work",
  isOpen: true,
  answer: z.object({ status: z.literal("ok") }),
  handle({ service }) {
    if (service.isStopping()) throw new ApiError(503, "the server stops; ask another one", { code: "stopping" });
    const stuck = service.models.all().find((model) => model.isStuck);
    if (stuck === undefined) return json({ status: "ok" });
    const message = `the engine of ${stuck.name} makes no step; it is about to be started again`;
    throw new ApiError(503, message, { code: "engine_stuck", retryAfter: 5 });
  },
});

/** `GET /metrics` */
export const metrics = defineRoute({
  method: "GET",
  path: "/metrics",
  summary: "what the server measures of itself, as Prometheus reads it",
  body: null,
  answer: { type: "text" },
  handle: ({ service }) =>
    new Response(service.metrics.text(), {
      headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
    }),
});
