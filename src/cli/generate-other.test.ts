import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runCommand } from "../../test/run-command.ts";
import { openReference } from "../backend/reference/index.ts";
import { writeModelFolder } from "../checkpoint/model-folder.ts";
import { CheckpointError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import { SamplingSettings } from "../generate/sampling.ts";
import { bert } from "../models/bert-families.ts";
import { t5 } from "../models/encoder-decoders/t5.ts";
import { exportGguf } from "../models/gguf/files.ts";
import { families } from "../models/index.ts";
import { Initializer } from "../nn/parameters.ts";
import { modelContents } from "../stages/pretrain/model.ts";
import { trainByteLevelBpe } from "../text/bpe-trainer.ts";
import { CharacterTrainer } from "../text/characters.ts";
import { WordPieceTrainer } from "../text/word-piece-trainer.ts";
import type { Io } from "./command.ts";
import { generate } from "./generate.ts";
import { otherAnswerers } from "./generate-other.ts";
import { score } from "./score.ts";

const { gpt2 } = families;
const backend = openReference();
const root = mkdtempSync(join(tmpdir(), "stemma-generate-"));
const [encoder, writer] = [join(root, "bert"), join(root, "t5")];
const options = {
  ...{ sampling: SamplingSettings.parse({ temperature: 0 }), maxNewTokens: 5, beams: 1, lengthPenalty: 1, seed: 1 },
};

beforeAll(async () => {
  const words = new WordPieceTrainer({ vocabularySize: 40 });
  words.add("the cat sat on the mat");
  const pieces = words.train();
  const init = new Initializer(backend, new Random(1));
  const shape = { context: 16, width: 8, layers: 1, heads: 2, dropout: 0 };
  const filler = bert.create(bert.shaped({ ...shape, vocabularySize: pieces.vocabularySize }), init);
  await writeModelFolder(encoder, modelContents(bert, filler, pieces));
  const letters = new CharacterTrainer({ specialTokens: ["</s>", "<pad>"] });
  letters.add("the cat sat on the mat");
  const characters = letters.train().withSpecialTokens([], { eos: "</s>", pad: "<pad>" });
  const { config } = t5.shaped({ ...shape, vocabularySize: characters.vocabularySize });
  const settings = t5.readConfig({ ...config, initializer_factor: 2 });
  const answerer = t5.create({ ...settings, endOfText: characters.endOfText }, init);
  await writeModelFolder(writer, modelContents(t5, answerer, characters));
}, 30_000);
afterAll(() => rmSync(root, { recursive: true }));

test("an encoder fills in masks, and nothing else", async () => {
  const fill = otherAnswerers.encoder;
  const result = await fill(encoder, ["the [MASK] sat on [MASK] mat"], options, backend);
  expect(result?.tokens).toBe(2);
  expect(result?.continuations[0]?.text).toMatch(/^the .+ sat on .+ mat$/);
  expect(result?.continuations[0]?.text).not.toContain("[");
  await expect(fill(encoder, ["the cat"], options, backend)).rejects.toThrow('"the cat" has no [MASK] to fill in');
  await expect(fill(encoder, [`[MASK] ${"the ".repeat(20)}`], options, backend)).rejects.toThrow(
    "prompt: has 23 tokens with those around it, the model sees 16; shorten it",
  );
});

test("an encoder-decoder writes a text, greedy or searched for", async () => {
  const answer = otherAnswerers["encoder-decoder"];
  const greedy = await answer(writer, ["the cat", "on"], options, backend);
  expect(greedy?.continuations).toHaveLength(2);
  expect(greedy?.tokens).toBeGreaterThan(0);
  const searched = await answer(writer, ["the cat"], { ...options, beams: 3 }, backend);
  expect(searched?.continuations[0]).toMatchObject({ prompt: "the cat" });
});

test("texts made of several prompts say of which, and one stands alone", async () => {
  const shown = async (prompt: readonly string[]): Promise<string[]> => {
    const lines: string[] = [];
    const io = {
      note: () => undefined,
      stopSignal: () => new AbortController().signal,
      print: (line: string) => void lines.push(line),
    } as unknown as Io;
    const settings = generate.settings.parse({ model: writer, prompt, temperature: 0, maxNewTokens: 3, threads: 1 });
    await generate.run(settings, io);
    return lines;
  };
  const [alone = ""] = await shown(["the cat"]);
  expect(await shown(["the cat", "on"])).toEqual([`the cat → ${alone}\n`, expect.stringMatching(/^on → [\s\S]*\n$/)]);
});

test("a tokenizer with more tokens than the model, or without a mask, is refused", async () => {
  const tokenizerOf = (folder: string): { added_tokens: { id: number; content: string }[] } =>
    JSON.parse(readFileSync(join(folder, "tokenizer.json"), "utf8"));
  const larger = (folder: string): object => {
    const json = tokenizerOf(folder);
    return { ...json, added_tokens: [...json.added_tokens, { id: 999, content: "<new>", special: true }] };
  };
  for (const [kind, folder] of [
    ["encoder", encoder],
    ["encoder-decoder", writer],
  ] as const) {
    const damaged = join(root, `larger-${kind}`);
    cpSync(folder, damaged, { recursive: true });
    writeFileSync(join(damaged, "tokenizer.json"), JSON.stringify(larger(folder)));
    await expect(otherAnswerers[kind](damaged, ["the [MASK]"], options, backend)).rejects.toThrow(
      /the tokenizer has 1000 tokens, the model \d+; they do not belong together/,
    );
  }
  const unmasked = join(root, "unmasked");
  cpSync(encoder, unmasked, { recursive: true });
  writeFileSync(join(unmasked, "tokenizer.json"), JSON.stringify({ ...tokenizerOf(encoder), added_tokens: [] }));
  writeFileSync(join(unmasked, "tokenizer_config.json"), "{}"); // which would name it, too
  await expect(otherAnswerers.encoder(unmasked, ["the [MASK]"], options, backend)).rejects.toThrow(CheckpointError);
});

test("folders of the other shape are refused", async () => {
  await expect(otherAnswerers["encoder-decoder"](encoder, ["the"], options, backend)).rejects.toThrow(
    /model_type "bert", which is another shape of model .* for encoder-decoders, which are t5, mt5, bart, /,
  );
});

test("beams are bounded, since each is a text that is kept", () => {
  const given = { model: writer, prompt: ["the cat"] };
  expect(generate.settings.safeParse({ ...given, beams: 64 }).success).toBe(true);
  expect(generate.settings.safeParse({ ...given, beams: 65 }).error?.issues[0]).toMatchObject({
    code: "too_big",
    maximum: 64,
  });
});

test("an encoder is refused where a decoder is wanted, in the terms of the command", async () => {
  const io = { note: () => undefined, stopSignal: () => new AbortController().signal } as unknown as Io;
  const scored = Promise.resolve(score.run(score.settings.parse({ model: encoder, text: "the", threads: 1 }), io));
  await expect(scored).rejects.toThrow(
    /"bert", which is another shape of model \(BERT: .*\); this is for decoders; stemma embed makes vectors with this one/,
  );
  await expect(exportGguf(writer, join(root, "x.gguf"), "F32")).rejects.toThrow(
    /gguf: a model of type t5 cannot be written for llama\.cpp; those that can are gpt2, .*llama, .*bert$/,
  );
  const unknown = join(root, "unknown");
  cpSync(encoder, unknown, { recursive: true });
  writeFileSync(join(unknown, "config.json"), '{ "model_type": "mamba" }');
  const asked = Promise.resolve(generate.run(generate.settings.parse({ model: unknown, prompt: ["the"] }), io));
  await expect(asked).rejects.toThrow(
    /"mamba", which is not supported; known are openai-gpt, .*, bert, t5, .*bart, .*modernbert$/,
  );
});

test.each([
  [
    encoder,
    "a [MASK] b<extra_id_0>",
    /<extra_id_0> stands for a gap that a t5 fills in, this is a bert; write \[MASK\]/,
  ],
  [
    writer,
    "a [MASK]",
    /\[MASK\] stands for a gap that a bert fills in, this is a t5; write <extra_id_0> for the first/,
  ],
])("%s is not asked as the other is", async (model, prompt, message) => {
  const io = { note: () => undefined, stopSignal: () => new AbortController().signal } as unknown as Io;
  const asked = Promise.resolve(generate.run(generate.settings.parse({ model, prompt: [prompt], threads: 1 }), io));
  await expect(asked).rejects.toThrow(message);
});

test("to a decoder what stands for a gap is text like any other", async () => {
  const tokenizer = trainByteLevelBpe(["a b"], { vocabularySize: 260 });
  const shape = { vocabularySize: tokenizer.vocabularySize, context: 32, width: 8, layers: 1, heads: 2, dropout: 0 };
  const model = gpt2.create(gpt2.shaped(shape), new Initializer(backend, new Random(1)));
  const folder = join(root, "gpt2");
  await writeModelFolder(folder, modelContents(gpt2, model, tokenizer));
  const prompt = "[MASK] <extra_id_0>";
  const { result } = await runCommand(generate, { model: folder, prompt: [prompt], maxNewTokens: 1, threads: 1 });
  expect(result).toMatchObject({ continuations: [{ prompt }] });
});

test("flags without an effect are refused", async () => {
  const io = {
    note: () => undefined,
    stopSignal: () => new AbortController().signal,
    print: () => undefined,
  } as unknown as Io;
  const ask = (model: string, given: object): Promise<unknown> =>
    Promise.resolve(
      generate.run(generate.settings.parse({ model, prompt: ["the [MASK] sat"], threads: 1, ...given }), io),
    );
  await expect(ask(encoder, { samples: 3, temperature: 0.5 })).rejects.toThrow(
    "generate: --samples and --temperature would have no effect, since an encoder puts the likeliest words into the masks",
  );
  await expect(ask(encoder, { temperature: 0 })).resolves.toBeDefined();
  const prompt = ["the cat"];
  await expect(ask(writer, { prompt, beams: 2, topK: 5 })).rejects.toThrow(
    "generate: --top-k would have no effect, since a search finds one text, the likeliest; leave it out",
  );
  await expect(ask(writer, { prompt, stop: ["on"] })).rejects.toThrow(
    /--stop would have no effect, since an encoder-decoder/,
  );
  await expect(ask(writer, { prompt, samples: 2, topK: 5, maxNewTokens: 3 })).resolves.toBeDefined();
});
