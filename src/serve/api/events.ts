import { ApiError } from "../api-error.ts";
import { defineRoute } from "../route.ts";
import { runEvents } from "../run-events.ts";
import { eventStream, streamHeaders, typedEvent } from "../sse.ts";

/** Runs whose lines one stream sends, at most. */
const mostRuns = 32;

/** `GET /api/events`: one stream for all that a page shows. */
export const events = defineRoute({
  method: "GET",
  path: "/api/events",
  summary:
    "server-sent events: runs that changed, and the new metrics of those named by `run`, from `last-event-id` on",
  body: null,
  answer: { type: "text" },
  streams: true,
  handle({ service, signal, queries, header }) {
    const ids = queries("run").slice(0, mostRuns);
    let isClosed = false;
    const isOver = (): boolean => isClosed || service.isStopping();
    const stream = runEvents(service.runs, ids, { lastId: header("last-event-id"), isOver });
    const defect = (error: unknown): ApiError => {
      service.defect("/api/events", error);
      return new ApiError(500, "the events failed; ask again", { code: "internal_error" });
    };
    const close = (): void => {
      isClosed = true;
    };
    const reader = { signal, close, defect };
    return new Response(eventStream(stream, reader, typedEvent), { headers: streamHeaders });
  },
});
