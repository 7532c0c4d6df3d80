import { openReference } from "../src/backend/reference/index.ts";
import { writeModelFolder } from "../src/checkpoint/model-folder.ts";
import { Random } from "../src/core/random.ts";
import type { JsonObject } from "../src/files/json.ts";
import { gpt2 } from "../src/models/gpt-families.ts";
import { storedTensors } from "../src/models/read-model.ts";
import { Initializer } from "../src/nn/parameters.ts";
import { trainByteLevelBpe } from "../src/text/bpe-trainer.ts";
import { tokenizerFiles } from "../src/text/tokenizer-files.ts";

/** Writes a GPT-2 of 17 million random weights, of which few are those of its words, that reads 1024 tokens. */
export async function writeServingModel(folder: string): Promise<void> {
  const end = "<|endoftext|>";
  const words = trainByteLevelBpe(["the cat sat on the mat and the dog sat on the log"], { vocabularySize: 272 });
  const tokenizer = words.withSpecialTokens([end], { bos: end, eos: end });
  const shape = {
    vocabularySize: tokenizer.vocabularySize,
    context: 1024,
    width: 448,
    layers: 7,
    heads: 7,
    dropout: 0,
  };
  const settings = gpt2.shaped(shape);
  const model = gpt2.create(settings, new Initializer(openReference(), new Random(1)));
  await writeModelFolder(folder, {
    config: gpt2.writeConfig(settings, { endOfText: tokenizer.endOfText }) as JsonObject,
    tensors: storedTensors(gpt2, model),
    extraFiles: tokenizerFiles(tokenizer),
  });
}
