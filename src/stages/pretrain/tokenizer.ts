import { existsSync } from "node:fs";
import { SettingsError } from "../../core/errors.ts";
import { inTurns, turnEventLoopWhenDue } from "../../core/event-loop.ts";
import type { BadRowChoice } from "../../data/bad-rows.ts";
import { BadRows } from "../../data/bad-rows.ts";
import { readDocuments } from "../../data/documents.ts";
import type { SourceSetting } from "../../data/sources.ts";
import { resolveSources } from "../../data/sources.ts";
import { ByteLevelBpeTrainer } from "../../text/bpe-trainer.ts";
import { CharacterTrainer } from "../../text/characters.ts";
import { loadTokenizer } from "../../text/load-tokenizer.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import type { TokenizerTrainer } from "../../text/tokenizer-trainer.ts";
import { UnigramTrainer } from "../../text/unigram-trainer.ts";
import { WordPieceTrainer } from "../../text/word-piece-trainer.ts";
import type { StageEnvironment } from "../stage.ts";

const endOfText = "<|endoftext|>";

/** Where the text is that a tokenizer is learned from, and how files of rows are read. */
export interface TrainingText {
  readonly data: readonly SourceSetting[];
  readonly textColumn: string;
  readonly badRows: BadRowChoice;
  /** Texts that were read already, instead. */
  readonly texts?: Iterable<string>;
}

/**
 * The tokenizer that a setting names: `characters`, `bpe-N`, `unigram-N` and `wordpiece-N` are learned from the
 * training text, anything else is the folder of one.
 *
 * @throws {SettingsError} when it is none of these.
 * @throws {unknown} the reason of `signal` when that is aborted.
 */
export async function pretrainingTokenizer(
  name: string,
  data: TrainingText,
  { note, signal }: Pick<StageEnvironment, "note" | "signal">,
): Promise<Tokenizer> {
  if (name === "characters") return learn(new CharacterTrainer(), data, signal);
  const [, kind, size] = /^([a-z]+)-(\d+)$/.exec(name) ?? [];
  const learned = kind === undefined || !Object.hasOwn(kinds, kind) ? undefined : kinds[kind];
  if (!learned) {
    if (existsSync(name)) return loadTokenizer(name);
    throw new SettingsError(
      `tokenizer: ${name} is neither characters, nor bpe-N, unigram-N or wordpiece-N with a number of tokens, nor a folder that exists`,
    );
  }
  const tokenizer = await learn(learned.trainer(Number(size)), data, signal);
  note(`learned ${learned.title} of ${tokenizer.vocabularySize} tokens`);
  return tokenizer;
}

/** Tokenizers of a size, by the name that a setting gives them. */
const kinds: Readonly<Record<string, { title: string; trainer: (vocabularySize: number) => TokenizerTrainer }>> = {
  bpe: {
    title: "a byte-level BPE",
    trainer: (vocabularySize) => new ByteLevelBpeTrainer({ vocabularySize, specialTokens: [endOfText] }),
  },
  unigram: { title: "a unigram model", trainer: (vocabularySize) => new UnigramTrainer({ vocabularySize }) },
  wordpiece: {
    title: "a WordPiece vocabulary",
    trainer: (vocabularySize) => new WordPieceTrainer({ vocabularySize }),
  },
};

async function learn(trainer: TokenizerTrainer, from: TrainingText, signal: AbortSignal): Promise<Tokenizer> {
  for await (const text of textsOf(from)) {
    trainer.add(text);
    await turnEventLoopWhenDue();
    signal.throwIfAborted();
  }
  return inTurns(trainer.training(), signal);
}

async function* textsOf({ data, textColumn, badRows, texts }: TrainingText): AsyncGenerator<string> {
  if (texts) return yield* texts;
  for (const { files } of await resolveSources(data)) {
    const reading = { textColumn, bad: new BadRows(badRows) };
    for await (const { text } of readDocuments(files, reading)) yield text;
  }
}
