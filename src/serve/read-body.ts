import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { ApiError } from "./api-error.ts";
import { requestLimits } from "./limits.ts";

/**
 * The JSON value in the body of a request, read piece by piece and counted, whatever its headers say.
 *
 * @throws {ApiError} 413 when it is too large, 415 when it is no JSON by its headers, 400 when it is none by its bytes.
 */
export async function readJsonBody(request: IncomingMessage): Promise<unknown> {
  refuseOtherContent(request.headers);
  const bytes = await readBytes(request);
  const text = decode(bytes);
  refuseLarge(text);
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ApiError(400, `the body is not valid JSON: ${shorten(reason)}; send one JSON object`, {
      code: "invalid_json",
    });
  }
}

function refuseOtherContent(headers: IncomingHttpHeaders): void {
  const type = headers["content-type"] ?? "";
  if (!/^application\/json\s*(;|$)/i.test(type)) {
    const got = type === "" ? "no content-type" : `content-type ${JSON.stringify(shorten(type))}`;
    throw new ApiError(415, `${got}; send content-type: application/json`, { code: "unsupported_media_type" });
  }
  const encoding = headers["content-encoding"] ?? "identity";
  if (encoding.toLowerCase() !== "identity") {
    const shown = JSON.stringify(shorten(encoding));
    throw new ApiError(415, `content-encoding ${shown} is not read; send the body as it is`, {
      code: "unsupported_media_type",
    });
  }
}

/** Of Node's own stream: one of the web around it costs as much as all else that a refusal does. */
function readBytes(request: IncomingMessage): Promise<Buffer> {
  const most = requestLimits.bodyBytes;
  if (Number(request.headers["content-length"] ?? 0) > most) throw tooLarge();
  const parts: Buffer[] = [];
  let size = 0;
  return new Promise((done, fail) => {
    request.on("data", (part: Buffer) => {
      size += part.length;
      if (size <= most) parts.push(part);
      else fail(tooLarge()); // what follows is read and dropped: whoever still sends could not hear of it otherwise
    });
    request.once("end", () => done(Buffer.concat(parts)));
    const breakOff = (): void =>
      fail(new ApiError(400, "the body broke off before its end; send it again", { code: "incomplete_body" }));
    request.once("error", breakOff).once("close", breakOff);
  });
}

function tooLarge(): ApiError {
  return new ApiError(413, `the body is larger than ${requestLimits.bodyBytes} bytes; ask for less at a time`, {
    code: "body_too_large",
  });
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new ApiError(400, "the body is not valid UTF-8; encode its text as UTF-8", { code: "invalid_json" });
  }
}

/** Nesting, and what lists and objects hold, is counted before anything that would follow it. */
function refuseLarge(text: string): void {
  const entries: number[] = [];
  for (let i = 0; i < text.length; i++) {
    switch (text[i]) {
      case '"':
        i = endOfString(text, i);
        break;
      case "{":
      case "[":
        if (entries.push(1) > requestLimits.jsonDepth) throw tooDeep();
        break;
      case "}":
      case "]":
        entries.pop();
        break;
      case ",":
        entries.push((entries.pop() ?? 0) + 1);
        if ((entries.at(-1) ?? 0) > requestLimits.jsonEntries) throw tooMany();
        break;
      default:
    }
  }
}

function tooDeep(): ApiError {
  const message = `the body has lists and objects more than ${requestLimits.jsonDepth} deep inside each other; send a flatter one`;
  return new ApiError(400, message, { code: "invalid_json" });
}

function tooMany(): ApiError {
  const message = `the body has a list or an object of more than ${requestLimits.jsonEntries} entries; send shorter ones`;
  return new ApiError(400, message, { code: "invalid_json" });
}

/** Where a string ends that begins at a place; the end of the text where it does not. */
function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === "\\") i += 1;
    else if (text[i] === '"') return i;
  }
  return text.length;
}

function shorten(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
