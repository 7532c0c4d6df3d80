import { NetworkError } from "../core/errors.ts";

/** Characters of one event, at most. */
const longestEvent = 1 << 20;

/**
 * The data of server-sent events, in order; other fields and comments are passed over.
 *
 * @param pieces - The text of the stream, cut anywhere.
 * @throws {NetworkError} naming `where`, when one event does not end.
 * @see WHATWG, HTML, section 9.2, "Server-sent events".
 */
export async function* serverEvents(
  pieces: AsyncIterable<string>,
  where: string,
): AsyncGenerator<string, void, undefined> {
  let rest = "";
  let data: string[] = [];
  for await (const piece of pieces) {
    // A line may end in CR LF, of which the second may be still to come.
    const lines = (rest + piece).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line !== "") {
        data.push(...dataOf(line));
        continue;
      }
      if (data.length > 0) yield data.join("\n");
      data = [];
    }
    if (rest.length + data.reduce((sum, one) => sum + one.length, 0) > longestEvent) {
      throw new NetworkError(`${where}: sends an event of more than ${longestEvent} characters; look at the server`);
    }
  }
}

function dataOf(line: string): string[] {
  return line.startsWith("data:") ? [line.slice("data:".length).replace(/^ /, "")] : [];
}
