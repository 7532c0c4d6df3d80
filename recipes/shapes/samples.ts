import { fillIn, generateText, SamplingSettings, writeTexts } from "../../src/index.ts";
import type { Encoder, EncoderDecoder, Opened } from "./opened.ts";
import { specialId } from "./opened.ts";

/** What a model was given and what it made of it. */
export interface Sample {
  readonly given: string;
  readonly made: string;
}

const beginning = "And Jesus answered and said unto them,";
const withGaps = ["And the LORD ", " unto Moses, saying, Speak unto the children of ", ", and say unto them"];

/** What each kind does best: decoders continue, the others fill gaps. */
export async function sampleOf(opened: Opened, seed: number): Promise<Sample> {
  switch (opened.kind) {
    case "decoder":
      return continued(opened, seed);
    case "encoder":
      return filled(opened);
    case "encoder-decoder":
      return answered(opened, seed);
  }
}

async function continued({ model, tokenizer }: Opened & { kind: "decoder" }, seed: number): Promise<Sample> {
  const sampling = SamplingSettings.parse({ temperature: 0.8, topP: 0.95 });
  const prompt = tokenizer.encode(beginning);
  let made = "";
  for await (const { text } of generateText(model, tokenizer, [prompt], { sampling, maxNewTokens: 50, seed }))
    made += text;
  return { given: beginning, made };
}

async function filled({ model, tokenizer }: { model: Encoder; tokenizer: Opened["tokenizer"] }): Promise<Sample> {
  const mask = specialId(tokenizer, "[MASK]");
  const special = new Set(tokenizer.specialTokens.values());
  const parts = withGaps.map((part) => [...tokenizer.encode(part.trimEnd())]);
  const text = parts.flatMap((part, i) => (i === 0 ? part : [mask, ...part]));
  const ids = Int32Array.of(specialId(tokenizer, "[CLS]"), ...text, specialId(tokenizer, "[SEP]"));
  const words = await fillIn(model, ids, new Int32Array(ids.length), { mask, isWord: (id) => !special.has(id) });
  const given = tokenizer.decode(ids, { skipSpecialTokens: false }).replace(/\[(CLS|SEP)\]/g, "");
  return { given, made: tokenizer.decode(words, { skipSpecialTokens: true }) };
}

async function answered(
  { model, tokenizer }: { model: EncoderDecoder; tokenizer: Opened["tokenizer"] },
  seed: number,
): Promise<Sample> {
  const gaps = [0, 1].map((i) => specialId(tokenizer, `<extra_id_${i}>`));
  const parts = withGaps.map((part) => [...tokenizer.encode(part.trimEnd())]);
  const text = parts.flatMap((part, i) => (i === 0 ? part : [gaps[i - 1] ?? 0, ...part]));
  const read = Int32Array.of(...text, model.settings.endOfText ?? 0);
  const sampling = SamplingSettings.parse({ temperature: 0 });
  const [written] = await writeTexts(model, [read], { sampling, maxNewTokens: 20, seed });
  return { given: tokenizer.decode(read), made: tokenizer.decode(written?.tokens ?? []) };
}
