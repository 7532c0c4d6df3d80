import { z } from "zod";
import { ModelKind } from "../model-kind.ts";

/** Quantiles of a time, in seconds; null where nothing was measured yet. */
const Latency = z.object({
  count: z.int(),
  p50: z.number().nullable(),
  p90: z.number().nullable(),
  p99: z.number().nullable(),
});

/** A sequence that is under way. */
const Sequence = z.object({
  copy: z.int(),
  state: z.enum(["waiting", "reading", "writing"]),
  prompt_tokens: z.int(),
  new_tokens: z.int(),
  most_new_tokens: z.int(),
});

/** `GET /api/server` */
export const ServerState = z.object({
  version: z.string(),
  /** Seconds since its process started. */
  uptime: z.number(),
  memory: z.object({
    /** Bytes of the server itself. */
    server: z.int(),
    /** Bytes that open models take, and may take together. */
    models: z.int(),
    most: z.int(),
  }),
  models: z.array(
    z.object({
      name: z.string(),
      kind: ModelKind,
      is_open: z.boolean(),
      /** What its process takes; null until it is open. */
      bytes: z.int().nullable(),
      context: z.int().nullable(),
      running: z.int(),
      waiting: z.int(),
      tokens_per_second: z.number(),
      /** One entry a slot, null where it is free; empty while the model is closed, and where it writes nothing. */
      slots: z.array(z.object({ request: z.string(), copy: z.int(), tokens: z.int() }).nullable()),
    }),
  ),
  requests: z.array(
    z.object({
      /** The name of its answer; null where it came with another key. */
      id: z.string().nullable(),
      /** As the slots name it. */
      name: z.string(),
      model: z.string(),
      /** Seconds since it came. */
      age: z.number(),
      sequences: z.array(Sequence),
    }),
  ),
  latency: z.object({ first_token: Latency, between_tokens: Latency, queue: Latency }),
  totals: z.object({
    requests: z.int(),
    prompt_tokens: z.int(),
    cached_tokens: z.int(),
    generated_tokens: z.int(),
    engine_failures: z.int(),
  }),
});
export type ServerState = z.output<typeof ServerState>;
