import type { Backend } from "../backend/kernels.ts";
import type { DescribedPictures } from "../data/load-pictures.ts";
import type { PictureRow } from "../data/picture-rows.ts";
import type { Named, Retrieval } from "../eval/retrieval.ts";
import { nearestByPixels, retrieval } from "../eval/retrieval.ts";
import type { PictureTextModel } from "../generate/picture-text.ts";
import { embedDescriptions, embedPictures } from "../generate/picture-text.ts";
import { similarity } from "../generate/similarity.ts";
import type { Metrics } from "../train/run.ts";

/** The names of pictures, all different, and which of them each has. */
function namesOf(rows: readonly PictureRow[]): { names: Named[]; own: number[] } {
  const names = new Map<string, Named & { readonly index: number }>();
  for (const { text, category } of rows) {
    if (!names.has(text)) names.set(text, { text, category, index: names.size });
  }
  return { names: [...names.values()], own: rows.map(({ text }) => names.get(text)?.index ?? 0) };
}

/** How well a model names pictures, among all their texts. */
export async function evaluate(
  opened: PictureTextModel,
  { rows, pictures }: DescribedPictures,
  signal?: AbortSignal,
): Promise<Retrieval> {
  const { names, own } = namesOf(rows);
  const vectors = await embedPictures(opened, pictures, signal);
  const texts = await embedDescriptions(
    opened,
    names.map(({ text }) => text),
    signal,
  );
  const similarities = (picture: number): Float32Array => {
    const vector = vectors[picture] ?? new Float32Array(0);
    return Float32Array.from(texts, (text) => similarity("dot", vector, text));
  };
  return retrieval(similarities, names, own);
}

/** {@link evaluate} as a run logs it; nothing where nothing is held out. */
export async function measure(
  opened: PictureTextModel,
  heldOut: DescribedPictures,
  signal: AbortSignal,
): Promise<Metrics> {
  if (heldOut.rows.length === 0) return {};
  const reached = await evaluate(opened, heldOut, signal);
  return Object.fromEntries(Object.entries(reached).map(([name, value]) => [`eval_${name}`, value]));
}

/** What the nearest training picture by pixels reaches; null where nothing is held out. */
export async function measureBaseline(
  backend: Backend,
  training: DescribedPictures,
  heldOut: DescribedPictures,
): Promise<Retrieval | null> {
  if (heldOut.rows.length === 0) return null;
  const { names, own } = namesOf(heldOut.rows);
  const numbers = new Map(names.map(({ text }, i) => [text, i]));
  const known = training.rows.map(({ text }) => numbers.get(text) ?? -1);
  const similarities = await nearestByPixels(backend, heldOut.pictures, training.pictures, known, names.length);
  return retrieval(similarities, names, own);
}

/** The figures in a sentence. */
export function saying(reached: Retrieval): string {
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  const category = reached.category === undefined ? "" : `, category ${percent(reached.category)}`;
  return `the right text first ${percent(reached["r@1"])}, among the first five ${percent(reached["r@5"])}${category}`;
}
