import { z } from "zod";
import { machineSettings, openMachine } from "../backend/machine-settings.ts";
import { SettingsError } from "../core/errors.ts";
import { openPicture, preparedPicture } from "../data/load-pictures.ts";
import { picturesIn } from "../data/picture-rows.ts";
import { embedDescriptions, embedPictures, openPictureText } from "../generate/picture-text.ts";
import { similarity } from "../generate/similarity.ts";
import type { Picture } from "../images/picture.ts";
import { defineCommand } from "./command.ts";

const SearchSettings = z.object({
  model: z.string().min(1).describe("folder of CLIP, anyone's or of stemma clip").meta({ placeholder: "folder" }),
  pictures: z
    .array(z.string())
    .min(1)
    .describe("folders of pictures, with those below them, or single pictures")
    .meta({ placeholder: "path" }),
  text: z
    .array(z.string().min(1))
    .default([])
    .describe("what to look for; more than one may be given")
    .meta({ placeholder: "text", commas: false }),
  like: z.string().optional().describe("a picture that others are to be like, instead of --text").meta({
    placeholder: "file",
  }),
  labels: z
    .array(z.string().min(1))
    .default([])
    .describe("names of classes, instead of --text: says of each picture which fits best, without any training")
    .meta({ placeholder: "name" }),
  prompt: z
    .string()
    .refine((text) => text.includes("{}"), "needs {} where the name goes")
    .default("{}")
    .describe('what stands around a name of --labels, such as "a photo of a {}"'),
  top: z.int().positive().default(5).describe("how many pictures to show for each text").meta({ placeholder: "count" }),
  ...machineSettings,
});

/** A picture's file and its vector. */
interface Indexed {
  readonly file: string;
  readonly vector: Float32Array;
}

/** `stemma search`: pictures by what is on them, and classes without training. */
export const search = defineCommand({
  name: "search",
  summary: "find pictures by a text or by a picture; name what is on them",
  group: "Use a model",
  settings: SearchSettings,
  examples: [
    'stemma search --model runs/emoji/final --text "a red apple" --pictures photos',
    "stemma search --model runs/emoji/final --labels cat,dog,bird --pictures photos",
  ],
  async run(settings, io) {
    const { text, like, labels, prompt, top } = settings;
    const ways = [text.length > 0, like !== undefined, labels.length > 0].filter(Boolean).length;
    if (ways !== 1) throw new SettingsError("search: give one of --text, --like and --labels");
    if (labels.length === 1) throw new SettingsError("labels: one class alone fits every picture; give two or more");
    const signal = io.stopSignal();
    const opened = await openPictureText(settings.model, await openMachine(settings, io));
    const { imageSize } = opened.model.settings.vision;
    const read = async (file: string): Promise<Picture> => preparedPicture(await openPicture(file), imageSize);
    const indexed = await index(settings.pictures, read, (pictures) => embedPictures(opened, pictures, signal));
    if (like !== undefined) {
      const [vector = new Float32Array(0)] = await embedPictures(opened, [await read(like)], signal);
      return { like, found: show(nearest(vector, indexed, top), io.print) };
    }
    const texts = labels.length > 0 ? labels.map((label) => prompt.replaceAll("{}", label)) : text;
    const vectors = await embedDescriptions(opened, texts, signal);
    if (labels.length > 0) {
      const scale = Math.exp(await opened.model.logitScale.item());
      return { classes: indexed.map((picture) => classify(picture, labels, vectors, scale, io.print)) };
    }
    const found = vectors.map((vector, i) => {
      if (texts.length > 1) io.print(`${texts[i]}:`);
      return { text: texts[i], found: show(nearest(vector, indexed, top), io.print) };
    });
    return { searches: found };
  },
});

/** Pictures in memory at once. */
const chunk = 256;

async function index(
  paths: readonly string[],
  read: (file: string) => Promise<Picture>,
  embed: (pictures: readonly Picture[]) => Promise<Float32Array[]>,
): Promise<Indexed[]> {
  const files = [...new Set((await Promise.all(paths.map(picturesIn))).flat())];
  const indexed: Indexed[] = [];
  for (let first = 0; first < files.length; first += chunk) {
    const some = files.slice(first, first + chunk);
    const pictures: Picture[] = [];
    for (const file of some) pictures.push(await read(file));
    const vectors = await embed(pictures);
    for (const [i, vector] of vectors.entries()) indexed.push({ file: some[i] ?? "", vector });
  }
  return indexed;
}

interface Found {
  readonly file: string;
  readonly similarity: number;
}

function nearest(vector: Float32Array, indexed: readonly Indexed[], top: number): Found[] {
  return indexed
    .map((own) => ({ file: own.file, similarity: Number(similarity("dot", vector, own.vector).toFixed(6)) }))
    .sort((a, b) => b.similarity - a.similarity)
    .slice(0, top);
}

function show(found: readonly Found[], print: (line: string) => void): readonly Found[] {
  for (const { file, similarity: value } of found) print(`${value.toFixed(4).padStart(8)}  ${file}`);
  return found;
}

/** Probabilities of classes: softmax(s · cosines), s as the model has learned it. */
function classify(
  { file, vector }: Indexed,
  labels: readonly string[],
  vectors: readonly Float32Array[],
  scale: number,
  print: (line: string) => void,
): { readonly file: string; readonly label: string; readonly probabilities: Readonly<Record<string, number>> } {
  const logits = vectors.map((own) => scale * similarity("dot", vector, own));
  const most = Math.max(...logits);
  const weights = logits.map((logit) => Math.exp(logit - most));
  const total = weights.reduce((a, b) => a + b, 0);
  const best = logits.indexOf(most);
  const label = labels[best] ?? "";
  print(`${(((weights[best] ?? 0) / total) * 100).toFixed(1).padStart(6)} %  ${label}  ${file}`);
  const probabilities = labels.map((name, i) => [name, Number(((weights[i] ?? 0) / total).toFixed(6))] as const);
  return { file, label, probabilities: Object.fromEntries(probabilities) };
}
