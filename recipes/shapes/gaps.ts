import type { Tokenizer } from "../../src/index.ts";
import { Random, Tensor, tensorScope, withoutGradients } from "../../src/index.ts";
import type { Encoder, EncoderDecoder, Opened } from "./opened.ts";
import { specialId } from "./opened.ts";

/** A stretch of held-out text with one word hidden. */
export interface Gap {
  readonly ids: Int32Array;
  /** Where the word stands. */
  readonly place: number;
  /** Words to choose from, the right one first. */
  readonly choices: readonly number[];
}

/** How well gaps are filled. */
export interface GapScore {
  /** Share of the gaps where the right word is found best among the choices. */
  readonly ofTen: number;
  /** Share where it is found best among all tokens. */
  readonly ofAll: number;
}

const length = 64;

/**
 * Gaps in held-out texts, at even distances: a word of one token in the middle third of a stretch of 64. The wrong
 * choices are words that are right elsewhere, so that how common a word is tells nothing.
 */
export function makeGaps(texts: readonly string[], tokenizer: Tokenizer, count: number, seed: number): Gap[] {
  const isWhole = (id: number | undefined): boolean => id !== undefined && /^ \p{L}{3,}$/u.test(tokenizer.decode([id]));
  const ends = (id: number | undefined): boolean => id !== undefined && !/^\p{L}/u.test(tokenizer.decode([id]));
  const found = texts.flatMap((text) => {
    const ids = tokenizer.encode(text);
    const stretches = Array.from({ length: Math.floor(ids.length / length) }, (_, i) => i * length);
    return stretches.flatMap((start) => {
      const stretch = ids.slice(start, start + length);
      const middle = Array.from({ length: length / 3 }, (_, i) => Math.floor(length / 3) + i);
      const place = middle.find((at) => isWhole(stretch[at]) && ends(stretch[at + 1]));
      return place === undefined ? [] : [{ ids: stretch, place }];
    });
  });
  const chosen = Array.from(
    { length: Math.min(count, found.length) },
    (_, i) => found[Math.floor((i * found.length) / count)],
  );
  const gaps = chosen.filter((gap) => gap !== undefined);
  const wordOf = ({ ids, place }: Pick<Gap, "ids" | "place">): number => ids[place] ?? 0;
  const words = found.map(wordOf);
  if (new Set(words).size < 10) throw new Error("the held-out text is too short for ten words to choose from");
  const reader = new Random(seed).reader();
  return gaps.map((gap) => {
    const choices = new Set([wordOf(gap)]);
    while (choices.size < 10) choices.add(words[reader.integer(words.length)] ?? 0);
    return { ...gap, choices: [...choices] };
  });
}

/** Log-probabilities of the choices, in order, and the likeliest of all tokens. */
interface Guess {
  readonly choices: readonly number[];
  readonly best: number;
}

/** How well a model fills gaps: every shape with all it can see. */
export async function fillGaps(opened: Opened, gaps: readonly Gap[]): Promise<GapScore> {
  let [ofTen, ofAll] = [0, 0];
  for (const gap of gaps) {
    const { choices, best } = await guess(opened, gap);
    if (choices.every((value) => value <= (choices[0] ?? 0))) ofTen += 1;
    if (best === gap.choices[0]) ofAll += 1;
  }
  return { ofTen: ofTen / gaps.length, ofAll: ofAll / gaps.length };
}

async function guess(opened: Opened, gap: Gap): Promise<Guess> {
  switch (opened.kind) {
    case "decoder":
      return guessByTrying(opened, gap);
    case "encoder":
      return among(await masked(opened.model, opened.tokenizer, gap), gap);
    case "encoder-decoder":
      return among(await answered(opened.model, opened.tokenizer, gap), gap);
  }
}

/** A decoder tries each word and scores what comes of it; its free guess sees only what stands before the gap. */
async function guessByTrying({ model }: Opened & { kind: "decoder" }, { ids, place, choices }: Gap): Promise<Guess> {
  const tried = choices.map((word) => ids.map((id, at) => (at === place ? word : id)));
  const time = ids.length - 1;
  const rows = (from: number): Int32Array => Int32Array.from(tried.flatMap((row) => [...row.slice(from, from + time)]));
  const [picked, next] = withoutGradients(() =>
    tensorScope(() => {
      const hidden = model.forward(Tensor.from(model.backend, rows(0), [choices.length, time]));
      const logProbs = model.logits(hidden.reshape([choices.length * time, -1])).logSoftmax();
      const targets = Tensor.from(model.backend, rows(1), [choices.length * time]);
      return [logProbs.pick(targets).reshape([choices.length, time]).sum(1), logProbs.slice(0, place - 1, place)];
    }),
  );
  return { choices: Array.from(await values(picked)), best: likeliest(await values(next)) };
}

/** An encoder sees both sides of the mask. */
async function masked(model: Encoder, tokenizer: Tokenizer, { ids, place }: Gap): Promise<ArrayLike<number>> {
  const [start, end, mask] = ["[CLS]", "[SEP]", "[MASK]"].map((token) => specialId(tokenizer, token));
  const framed = Int32Array.of(start ?? 0, ...ids.map((id, at) => (at === place ? (mask ?? 0) : id)), end ?? 0);
  return values(
    withoutGradients(() =>
      tensorScope(() => {
        const hidden = model.forward(Tensor.from(model.backend, framed, [1, framed.length]));
        return model.logits(hidden.slice(1, place + 1, place + 2)).logSoftmax();
      }),
    ),
  );
}

/** An encoder-decoder sees both sides and writes what stood there. */
async function answered(model: EncoderDecoder, tokenizer: Tokenizer, { ids, place }: Gap): Promise<ArrayLike<number>> {
  const gap = specialId(tokenizer, "<extra_id_0>");
  const { decoderStart, endOfText } = model.settings;
  const read = Int32Array.of(...ids.map((id, at) => (at === place ? gap : id)), endOfText ?? 0);
  return values(
    withoutGradients(() =>
      tensorScope(() => {
        const text = model.encode(Tensor.from(model.backend, read, [1, read.length]), null);
        const hidden = model.decode(Tensor.from(model.backend, Int32Array.of(decoderStart, gap), [1, 2]), text);
        return model.logits(hidden.slice(1, 1, 2)).logSoftmax();
      }),
    ),
  );
}

function among(logProbs: ArrayLike<number>, { choices }: Gap): Guess {
  return { choices: choices.map((word) => logProbs[word] ?? 0), best: likeliest(logProbs) };
}

function likeliest(logProbs: ArrayLike<number>): number {
  let best = 0;
  for (let id = 1; id < logProbs.length; id++) if ((logProbs[id] ?? 0) > (logProbs[best] ?? 0)) best = id;
  return best;
}

async function values(tensor: Tensor | undefined): Promise<ArrayLike<number>> {
  if (!tensor) return [];
  const read = await tensor.read();
  tensor.release();
  return read;
}
