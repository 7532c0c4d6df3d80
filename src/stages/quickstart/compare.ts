import type { Backend } from "../../backend/kernels.ts";
import { deviation, mean } from "../../core/mean.ts";
import type { Assistant } from "../../generate/assistant.ts";
import { openAssistant } from "../../generate/assistant.ts";
import type { SamplingSettings } from "../../generate/sampling.ts";
import type { LanguageModel } from "../../models/language-model.ts";
import { parameters } from "../../nn/parameters.ts";
import { answerLogProbs, readAnswers } from "../../train/answers.ts";
import type { PredictionBatch } from "../../train/objectives/next-token.ts";
import type { SampledAnswer } from "../../train/sample-answers.ts";
import { sampleAnswers } from "../../train/sample-answers.ts";
import { textLoss } from "../../train/text-loss.ts";
import { kindness } from "./kindness.ts";
import { isWellFormed } from "./verse-requests.ts";

/** What became of a model at one stop of the road. */
export interface Standing {
  readonly name: string;
  /** Share of answers of the shape that was asked for, 0 … 1. */
  readonly wellFormed: number;
  /** Mean of the judge's score, and its standard error. */
  readonly kindness: number;
  readonly kindnessError: number;
  /** KL from the SFT model, nats an answer; null where answers cannot be compared. */
  readonly kl: number | null;
  /** Loss on held-out pretraining text, nats a token: what alignment cost. */
  readonly textLoss: number;
  /** Answers to the first prompts. */
  readonly samples: readonly string[];
}

/** What all models are compared on. */
export interface Comparing {
  /** Texts of held-out requests. */
  readonly prompts: readonly string[];
  /** Held-out pretraining text for a tokenizer, in batches. */
  readonly text: (assistant: Assistant) => Promise<readonly PredictionBatch[]>;
  readonly sampling: SamplingSettings;
  readonly maxNewTokens: number;
  readonly batchSize: number;
  readonly seed: number;
  /** Ends the comparison, with its reason as the error. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * How each of some models answers the same held-out requests.
 *
 * @param folders - Model folders by name. Answers are compared with those of `reference`, one of the names.
 */
export async function compareModels(
  folders: Readonly<Record<string, string>>,
  reference: string,
  comparing: Comparing,
  backend: Backend,
): Promise<Standing[]> {
  const anchor = await openAssistant(folders[reference] ?? "", backend);
  const standings: Standing[] = [];
  for (const [name, folder] of Object.entries(folders)) {
    // A model that has not learned the chat's shape yet is asked in it all the same.
    const own = await openAssistant(folder, backend);
    standings.push(await standingOf(name, own, anchor, comparing));
    release(own.model);
  }
  release(anchor.model);
  return standings;
}

async function standingOf(name: string, own: Assistant, anchor: Assistant, comparing: Comparing): Promise<Standing> {
  const { prompts, sampling, maxNewTokens, batchSize, seed, signal } = comparing;
  const { tokenizer } = own.encoder;
  const isChat = own.encoder.template !== null;
  const encoded = prompts.map((content) =>
    isChat
      ? own.encoder.encodePrompt([{ role: "user", content }])
      : tokenizer.encode(anchor.encoder.template?.render([{ role: "user", content }], {}, true) ?? content),
  );
  const endTokens = own.encoder.endTokens();
  const options = { sampling, maxNewTokens, batchSize, seed, endTokens, tokenizer, signal };
  const answers = await sampleAnswers(own.model, encoded, options);
  const texts = answers.map(({ answer }) => tokenizer.decode(answer, { skipSpecialTokens: true }));
  const scores = texts.map(kindness);
  const lost = await textLoss(own.model, await comparing.text(own), signal);
  return {
    name,
    wellFormed: mean(
      texts.map((text, i) => (isWellFormed(prompts[i] ?? "", text, answers[i]?.ended ?? false) ? 1 : 0)),
    ),
    kindness: mean(scores),
    kindnessError: deviation(scores) / Math.sqrt(scores.length),
    kl: isChat ? await klOf(own.model, anchor.model, answers, comparing) : null,
    textLoss: lost.sum / lost.tokens,
    samples: texts.slice(0, 3),
  };
}

/** Mean over answers of Σ (log π − log π₀), at the temperature they were sampled with. */
async function klOf(
  model: LanguageModel,
  reference: LanguageModel,
  answers: readonly SampledAnswer[],
  { sampling: { temperature }, batchSize, signal }: Comparing,
): Promise<number> {
  const sums = async (of: LanguageModel): Promise<number[]> => {
    const each = await readAnswers(answers, batchSize, (batch) => answerLogProbs(of, batch, { temperature }), signal);
    return each.map((values) => values.reduce((a, b) => a + b, 0));
  };
  const [own, other] = [await sums(model), await sums(reference)];
  return mean(own.map((sum, i) => sum - (other[i] ?? 0)));
}

function release(model: LanguageModel): void {
  for (const parameter of parameters(model).values()) parameter.release();
}

/** The table, and three answers side by side, as lines to print. */
export function standingLines(standings: readonly Standing[], prompts: readonly string[]): string[] {
  const header = ["model".padEnd(8), "well-formed", "kindness (± s.e.)", "KL (nats)", "text loss"].join("   ");
  const rows = standings.map((own) =>
    [
      own.name.padEnd(8),
      `${(100 * own.wellFormed).toFixed(1)} %`.padStart(11),
      `${own.kindness.toFixed(2)} ± ${own.kindnessError.toFixed(2)}`.padStart(17),
      (own.kl === null ? "–" : own.kl.toFixed(2)).padStart(9),
      own.textLoss.toFixed(3).padStart(9),
    ].join("   "),
  );
  const samples = prompts
    .slice(0, 3)
    .flatMap((prompt, i) => [
      "",
      `“${prompt}”`,
      ...standings.map(({ name, samples: texts }) => `  ${name.padEnd(8)}${(texts[i] ?? "").replaceAll("\n", "⏎")}`),
    ]);
  return [header, ...rows, ...samples];
}
