import { ApiError } from "./api-error.ts";
import type { Generation } from "./generation.ts";
import type { Asked } from "./route.ts";
import { json } from "./route.ts";
import { eventStream, streamHeaders } from "./sse.ts";
import type { TextEvents } from "./text-events.ts";

/** An answer piece by piece. What goes wrong before its first token is an error as ever. */
export async function streamAnswer(
  { signal, service }: Asked,
  generation: Generation,
  events: TextEvents,
  chunks: AsyncIterable<object>,
): Promise<Response> {
  const close = (): void => generation.close();
  signal.addEventListener("abort", close, { once: true });
  await events.begin();
  signal.removeEventListener("abort", close);
  const defect = (error: unknown): ApiError => {
    service.defect("stream", error);
    return new ApiError(500, "the answer failed; ask again", { code: "internal_error" });
  };
  return new Response(eventStream(chunks, { signal, close, defect }), { headers: streamHeaders });
}

/** A whole answer. Nothing more is generated when the client goes. */
export async function wholeAnswer(
  { signal }: Asked,
  generation: Generation,
  write: () => Promise<object>,
): Promise<Response> {
  const close = (): void => generation.close();
  signal.addEventListener("abort", close, { once: true });
  try {
    return json(await write());
  } finally {
    signal.removeEventListener("abort", close);
    close();
  }
}
