import { z } from "zod";
import { packageVersion } from "../../train/machine.ts";
import { ApiError } from "../api-error.ts";
import { Generation } from "../generation.ts";
import type { Histogram } from "../metrics.ts";
import type { Service } from "../route.ts";
import { defineGet, definePost, json } from "../route.ts";
import type { ServedModel } from "../served-model.ts";
import { ServerState } from "./server-answers.ts";

/** `GET /api/server` */
export const server = defineGet({
  path: "/api/server",
  summary: "what the server does now: models, slots, requests under way, times",
  answer: ServerState,
  handle({ service, owner }) {
    const { metrics, models } = service;
    const running = generationsOf(service);
    const open = models.all().filter(({ isOpen }) => isOpen);
    return json({
      version: packageVersion(),
      uptime: process.uptime(),
      memory: {
        server: process.memoryUsage.rss(),
        models: open.reduce((sum, { bytes }) => sum + bytes, 0),
        most: models.memory,
      },
      models: models.all().map((model) => modelState(model, running)),
      requests: running.map((one) => ({
        id: one.owner === owner ? one.id : null,
        name: nameOf(one),
        model: one.model,
        age: one.age / 1000,
        sequences: one.sequences().map(({ copy, isStarted, promptTokens, newTokens, mostNewTokens }) => ({
          ...{ copy, prompt_tokens: promptTokens, new_tokens: newTokens, most_new_tokens: mostNewTokens },
          state: newTokens > 0 ? ("writing" as const) : isStarted ? ("reading" as const) : ("waiting" as const),
        })),
      })),
      latency: {
        first_token: latencyOf(metrics.firstToken),
        between_tokens: latencyOf(metrics.betweenTokens),
        queue: latencyOf(metrics.queued),
      },
      totals: {
        requests: metrics.requests.total,
        prompt_tokens: metrics.promptTokens.total,
        cached_tokens: metrics.cachedTokens.total,
        generated_tokens: metrics.generatedTokens.total,
        engine_failures: metrics.engineFailures.total,
      },
    } satisfies ServerState);
  },
});

/** `POST /api/cancel` */
export const cancel = definePost({
  path: "/api/cancel",
  summary: "end a request of one's own that is under way",
  body: z.object({ id: z.string().describe("name of its answer: cmpl-…, chatcmpl-…") }),
  answer: z.object({ cancelled: z.string() }),
  handle({ service, owner, body: { id } }) {
    const found = generationsOf(service).find((one) => one.id === id && one.owner === owner);
    if (!found) {
      const shown = JSON.stringify(id.slice(0, 100));
      throw new ApiError(404, `no request ${shown} of this key is under way; it may have ended`, {
        ...{ param: "id", code: "request_not_found" },
      });
    }
    found.fail(new ApiError(409, "the request was cancelled by whoever asked for it", { code: "cancelled" }));
    return json({ cancelled: id });
  },
});

function generationsOf({ active }: Service): Generation[] {
  return [...active].filter((one) => one instanceof Generation);
}

function nameOf({ number }: Generation): string {
  return `#${number}`;
}

function modelState(model: ServedModel, running: readonly Generation[]): ServerState["models"][number] {
  const { name, found, isOpen, opened, queue, busySlots, slots, tokensPerSecond } = model;
  const hasSlots = opened !== null && found.kind === "decoder";
  return {
    ...{ name, kind: found.kind, is_open: isOpen },
    ...{ bytes: opened?.bytes ?? null, context: opened?.context ?? null },
    ...{ running: queue.running, waiting: queue.waiting, tokens_per_second: tokensPerSecond },
    slots: Array.from({ length: hasSlots ? slots : 0 }, (_, slot) => {
      const busy = busySlots.find((one) => one.slot === slot);
      const request = busy && running.find((one) => one.sequences().some(({ part }) => part === busy.id));
      return busy && request ? { request: nameOf(request), copy: busy.copy, tokens: busy.tokens } : null;
    }),
  };
}

function latencyOf(times: Histogram): ServerState["latency"]["queue"] {
  const { count } = times;
  return { count, p50: times.quantile(0.5), p90: times.quantile(0.9), p99: times.quantile(0.99) };
}
