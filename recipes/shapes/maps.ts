import type { AttentionMap, Backend, LanguageModel } from "../../src/index.ts";
import { Tensor, tensorScope, watchAttention, withoutGradients } from "../../src/index.ts";
import type { Contestant } from "./contestants.ts";
import type { Opened } from "./opened.ts";
import { open, specialId } from "./opened.ts";

/** Who looks at whom in a trained model, as a picture: rows look, columns are looked at. */
export interface LearnedMap {
  readonly title: string;
  readonly rows: readonly string[];
  readonly columns: readonly string[];
  /** Row after row, from 0 to 1. */
  readonly values: readonly number[];
}

/** A verse that is held out. */
const verse = "And he said unto them, Go ye into all the world, and preach the gospel";

/** What one head of a trained model looks at; an LSTM has none, so what it remembers is shown. */
export async function learnedMap(contestant: Contestant, folder: string, backend: Backend): Promise<LearnedMap> {
  const watched = watchAttention(backend);
  const opened = await open(contestant, folder, watched.backend);
  const ids = opened.tokenizer.encode(verse);
  const read = inputOf(opened, ids);
  withoutGradients(() => tensorScope(() => look(opened, read)));
  const maps = await watched.takeMaps();
  const labels = [...read].map((id) => opened.tokenizer.decode([id]).trim());
  if (maps.length > 0) return clearest(maps, labels);
  if (opened.kind !== "decoder") throw new Error("internal: there is no attention to look at");
  return { ...(await influence(opened.model, ids)), rows: labels, columns: labels };
}

function inputOf({ kind, tokenizer, model }: Opened, ids: Int32Array): Int32Array {
  if (kind === "decoder") return ids;
  if (kind === "encoder-decoder") return Int32Array.of(...ids, model.settings.endOfText ?? 0);
  return Int32Array.of(specialId(tokenizer, "[CLS]"), ...ids, specialId(tokenizer, "[SEP]"));
}

/** A pass over the text; of an encoder-decoder, its encoder's. */
function look({ kind, model }: Opened, read: Int32Array): void {
  const ids = Tensor.from(model.backend, read, [1, read.length]);
  if (kind === "encoder-decoder") model.encode(ids, null);
  else model.forward(ids);
}

/** The head that is surest where to look, of those that do not merely look at one place. */
function clearest(maps: readonly AttentionMap[], labels: readonly string[]): LearnedMap {
  const heads = maps.flatMap(({ heads: count, queries, keys, weights }, layer) =>
    Array.from({ length: count }, (_, head) => {
      const values = [...weights.subarray(head * queries * keys, (head + 1) * queries * keys)];
      return { layer, head, values, clarity: clarityOf(values, keys) };
    }),
  );
  const best = heads.reduce((a, b) => (b.clarity > a.clarity ? b : a));
  const title = `layer ${best.layer + 1} of ${maps.length}, head ${best.head + 1} of ${maps[0]?.heads ?? 0}`;
  return { title, rows: labels, columns: labels, values: best.values };
}

/** Mean largest weight of a row, less the weight that the most popular key gets from all rows, itself apart. */
function clarityOf(values: readonly number[], keys: number): number {
  const rows = Array.from({ length: values.length / keys }, (_, row) => values.slice(row * keys, (row + 1) * keys));
  const late = rows.slice(Math.floor(rows.length / 3)); // the first rows have few keys to choose from
  const mean = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0) / numbers.length;
  const sure = mean(late.map((row) => Math.max(...row)));
  const popular = Math.max(...rows.map((_, key) => mean(late.map((row) => row[key] ?? 0))));
  const own = mean(late.map((row, i) => row[i + rows.length - late.length] ?? 0));
  return sure - popular - own;
}

/** How far the state at each place moves when one earlier token is another, as a share of the most it moves. */
async function influence(model: LanguageModel, ids: Int32Array): Promise<Pick<LearnedMap, "title" | "values">> {
  const time = ids.length;
  const changed = Int32Array.from([...ids, ...Array.from(ids).flatMap((_, at) => replaced(ids, at))]);
  const hidden = withoutGradients(() =>
    tensorScope(() => model.forward(Tensor.from(model.backend, changed, [time + 1, time]))),
  );
  const states = await hidden.read();
  hidden.release();
  const width = states.length / (time + 1) / time;
  const moved = (query: number, key: number): number => {
    const [own, other] = [query * width, ((key + 1) * time + query) * width];
    return Math.hypot(...Array.from({ length: width }, (_, i) => (states[own + i] ?? 0) - (states[other + i] ?? 0)));
  };
  const values = Array.from({ length: time * time }, (_, at) => moved(Math.floor(at / time), at % time));
  const most = Math.max(...values);
  const title = "no attention: how far a state moves when a token before is another";
  return { title, values: values.map((value) => value / most) };
}

function replaced(ids: Int32Array, place: number): number[] {
  return Array.from(ids, (id, at) => (at === place ? (ids[(place + 7) % ids.length] ?? 0) : id));
}
