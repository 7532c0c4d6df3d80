import { join } from "node:path";
import { pretrain } from "../pretrain/index.ts";
import type { StageResult, Watcher } from "../run-stage.ts";
import { quickstartRun } from "./choose-size.ts";
import type { Corpus } from "./corpus.ts";
import { writeCorpus } from "./corpus.ts";
import { runLeg } from "./leg.ts";

/** How the quickstart pretrains. */
export interface BaseSettings {
  /** Folder for data and run. */
  readonly output: string;
  readonly steps: number;
  readonly layers: number;
  readonly heads: number;
  readonly width: number;
  /** Share of the road: of a short one less text is evaluated on. */
  readonly scale: number;
  readonly seed: number;
  readonly threads: number;
  readonly matmulPrecision: "float32" | "bfloat16";
  readonly resume?: boolean;
}

/** The pretrained model and the text it learned from. */
export interface Base {
  readonly result: StageResult;
  readonly corpus: Corpus;
}

/** Trains a BPE of 2,048 tokens and a GPT-2, of 3 million parameters where it has the time, on the King James Bible. */
export async function pretrainBase({ output, scale, ...settings }: BaseSettings, watcher: Watcher): Promise<Base> {
  const corpus = await writeCorpus(join(output, "data"));
  const result = await runLeg(
    pretrain,
    pretrain.settings.parse({
      ...settings,
      ...{ model: "gpt2", data: [corpus.text], validation: [corpus.heldOutText] },
      ...{ tokenizer: `bpe-${quickstartRun.vocabularySize}`, context: quickstartRun.context },
      ...{ batchSize: quickstartRun.batchSize, learningRate: 2e-3 },
      ...(scale < 1 && { evaluationTokens: Math.ceil(2 ** 16 * scale) }),
      warmupSteps: Math.min(100, Math.ceil(settings.steps / 10)),
      ...{ evaluateEvery: Math.ceil(settings.steps / 4), saveEvery: Math.ceil(settings.steps / 4) },
      prompts: ["In the beginning", "And Jesus said unto him,", "The LORD is my"],
      sampleTokens: 60,
      output: join(output, "base"),
    }),
    watcher,
  );
  return { result, corpus };
}
