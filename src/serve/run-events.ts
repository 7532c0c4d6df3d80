import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { followLog } from "../train/follow-log.ts";
import type { LogRecord } from "../train/log.ts";
import type { LogPlace } from "../train/log-file.ts";
import { runFiles } from "../train/run-folder.ts";
import type { RunChanges, RunLines } from "./api/run-answers.ts";
import type { KnownRun, RunTable } from "./run-table.ts";
import type { TypedEvent } from "./sse.ts";

/** How often runs are looked at, in milliseconds. */
const everyMs = 500;

/** Lines of a log that are sent one by one; who is further behind had better ask for all of it. */
const mostLines = 5000;

/** Whose metrics a page shows, and how far it has them. */
interface Watched {
  readonly id: string;
  place: LogPlace | null;
}

/**
 * What happens to runs, for as long as `isOver` says: `runs` says which of the list changed, `metrics` has the lines that the
 * logs of the runs `ids` got, `reset` says that what was read of one no longer holds. The id of an event holds how far each of
 * the logs was read; `lastId` goes on from there, and without it from now.
 */
export async function* runEvents(
  table: RunTable,
  ids: readonly string[],
  { lastId, isOver }: { readonly lastId: string | null; readonly isOver: () => boolean },
): AsyncGenerator<TypedEvent> {
  const places = lastId === null ? null : lastId.split(",");
  const watched = ids.map((id, i): Watched => ({ id, place: placeFrom(places?.[i] ?? "") }));
  if (places === null) await beginNow(table, watched);
  const seen = new Map<string, number>();
  for (let isFirst = true; !isOver(); isFirst = false) {
    const all = await table.all();
    const changes = changesSince(seen, all, table);
    if (isFirst || changes.runs.length + changes.gone.length > 0) {
      yield { type: "runs", id: idOf(watched), data: changes };
    }
    for (const one of watched) {
      const run = all.find(({ id }) => id === one.id);
      if (run !== undefined) yield* linesSince(run.path, one, watched);
    }
    await pause(everyMs);
  }
}

/** Lets every log be followed from where it ends now. */
async function beginNow(table: RunTable, watched: readonly Watched[]): Promise<void> {
  const known = await table.all();
  for (const one of watched) {
    const run = known.find(({ id }) => id === one.id);
    if (run === undefined) continue;
    const log = table.logOf(run);
    await log.update();
    one.place = log.place;
  }
}

/** What is new in the list, which then is no more. */
function changesSince(seen: Map<string, number>, all: readonly KnownRun[], table: RunTable): RunChanges {
  const changed = all.filter(({ id, version }) => seen.get(id) !== version);
  const gone = [...seen.keys()].filter((id) => !all.some((run) => run.id === id));
  for (const { id, version } of changed) seen.set(id, version);
  for (const id of gone) seen.delete(id);
  return { runs: changed.map((run) => table.entryOf(run)), gone };
}

async function* linesSince(path: string, one: Watched, watched: readonly Watched[]): AsyncGenerator<TypedEvent> {
  const lines: RunLines["lines"][number][] = [];
  let isLost = false;
  for await (const { records, place, isAnew } of followLog(join(path, runFiles.metrics), one.place)) {
    isLost ||= isAnew;
    one.place = place;
    if (!isLost) for (const record of records) lines.push(numbersOf(record));
    if (lines.length > mostLines) isLost = true;
    if (isLost) break;
  }
  if (isLost) yield { type: "reset", id: idOf(watched), data: { run: one.id } };
  else if (lines.length > 0)
    yield { type: "metrics", id: idOf(watched), data: { run: one.id, lines } satisfies RunLines };
}

function numbersOf(record: LogRecord): Readonly<Record<string, number>> {
  const entries = Object.entries(record).filter((entry): entry is [string, number] => typeof entry[1] === "number");
  return Object.fromEntries(entries);
}

function idOf(watched: readonly Watched[]): string {
  return watched.map(({ place }) => placeText(place)).join(",");
}

/** How far a log was read, as a stream of events takes it: byte offset and file. */
export function placeText(place: LogPlace | null): string {
  return place === null ? "" : `${place.offset}-${place.file}`;
}

/** Null for what is no such text. */
function placeFrom(text: string): LogPlace | null {
  const [, offset, file] = /^(\d{1,15})-(\d{1,20})$/.exec(text) ?? [];
  return offset === undefined || file === undefined ? null : { offset: Number(offset), file };
}
