import { openReference } from "../src/backend/reference/index.ts";
import { writeModelFolder } from "../src/checkpoint/model-folder.ts";
import { Random } from "../src/core/random.ts";
import type { JsonObject } from "../src/files/json.ts";
import { encoders } from "../src/models/encoders.ts";
import { storedTensors } from "../src/models/read-model.ts";
import { Initializer } from "../src/nn/parameters.ts";
import { tokenizerFiles } from "../src/text/tokenizer-files.ts";
import { WordPieceTrainer } from "../src/text/word-piece-trainer.ts";

const text = "in the beginning god created the heaven and the earth and the earth was without form and void";

/** Writes the folder of a new encoder that reads 64 tokens of the words of one sentence. */
export async function writeSmallEncoder(path: string, modelType = "bert"): Promise<void> {
  const family = encoders[modelType];
  if (!family) throw new Error(`there is no encoder ${modelType}`);
  const { words } = family;
  const trainer = new WordPieceTrainer({ vocabularySize: 80 });
  trainer.add(text);
  const tokenizer = trainer.train();
  const shape = {
    ...{ vocabularySize: tokenizer.vocabularySize, context: 64 },
    width: 32,
    layers: 2,
    heads: 4,
    dropout: 0,
  };
  const settings = { ...words.shaped(shape), initializerRange: 0.2 };
  const model = words.create(settings, new Initializer(openReference(), new Random(1)));
  await writeModelFolder(path, {
    config: words.writeConfig(settings, { endOfText: null }) as JsonObject,
    tensors: storedTensors(words, model),
    extraFiles: tokenizerFiles(tokenizer),
  });
}
