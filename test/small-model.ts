import { openReference } from "../src/backend/reference/index.ts";
import { writeModelFolder } from "../src/checkpoint/model-folder.ts";
import { Random } from "../src/core/random.ts";
import type { JsonObject } from "../src/files/json.ts";
import type { ModelFamily } from "../src/models/family.ts";
import { storedTensors } from "../src/models/read-model.ts";
import { Initializer, parameters } from "../src/nn/parameters.ts";
import { trainByteLevelBpe } from "../src/text/bpe-trainer.ts";
import { tokenizerFiles } from "../src/text/tokenizer-files.ts";

/** Text of the token that ends a text. */
export const endOfText = "<|endoftext|>";

/** A small tokenizer with two special tokens. */
export const tokenizer = trainByteLevelBpe(["In the beginning God created the heaven and the earth. the the the"], {
  vocabularySize: 280,
}).withSpecialTokens([endOfText, "<|im_start|>"], { bos: endOfText, eos: endOfText });

/** A model whose embedding has three rows more than the tokenizer has tokens. */
export const shape = {
  ...{ vocabularySize: tokenizer.vocabularySize + 3, context: 16 },
  ...{ width: 64, layers: 2, heads: 4, dropout: 0 },
};

/** A chat template, for folders that are about having one. */
export const template = "{% for message in messages %}{{ message.content }}{% endfor %}";

/**
 * Writes the folder of a new model, whose config differs from the family's usual one by `change`. Gains and biases, which
 * begin as ones and zeros, are scattered by `noise`.
 */
export async function writeSmallModel(
  path: string,
  family: ModelFamily,
  change: Record<string, unknown> = {},
  noise = 0,
): Promise<void> {
  const ids = { endOfText: tokenizer.endOfText };
  const settings = family.readConfig({ ...family.writeConfig(family.shaped(shape), ids), ...change });
  const model = family.create(settings, new Initializer(openReference(), new Random(1)));
  if (noise > 0) await scatterVectors(model, noise);
  await writeModelFolder(path, {
    config: family.writeConfig(settings, ids) as JsonObject,
    tensors: storedTensors(family, model),
    extraFiles: { ...tokenizerFiles(tokenizer), "chat_template.jinja": template },
  });
}

async function scatterVectors(model: object, noise: number): Promise<void> {
  const random = new Random(2);
  for (const parameter of parameters(model).values()) {
    if (parameter.shape.length !== 1) continue;
    const [values, noises] = [await parameter.floats(), random.normal(parameter.size, noise)];
    parameter.write(values.map((value, i) => value + (noises[i] ?? 0)));
  }
}
