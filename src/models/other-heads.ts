import { z } from "zod";
import { CheckpointError } from "../core/errors.ts";
import type { ModelConfig } from "./family.ts";

/** `architectures` of a config.json; none where it has no such list. */
export function architecturesOf(config: ModelConfig): readonly string[] {
  return z.array(z.string()).catch([]).parse(config.architectures);
}

/** Names of the classes that a config.json gives, by number; the two that `transformers` assumes where it gives none. */
export function classNames({ id2label }: ModelConfig): string[] {
  const names = z.record(z.string(), z.string()).catch({ 0: "LABEL_0", 1: "LABEL_1" }).parse(id2label);
  return Object.values(names);
}

/** The one class of the reward models that are made here. */
export const rewardLabel = "reward";

/** Whether a folder's head answers a task: classes, a choice or a score. */
export function isClassifier(config: ModelConfig): boolean {
  const [architecture = ""] = architecturesOf(config);
  return /For(SequenceClassification|MultipleChoice)$/.test(architecture);
}

/**
 * Makes sure that a folder is asked for what it can say.
 *
 * @throws {CheckpointError} when it has another head than that of a language model, naming the command that asks it.
 */
export function refuseOtherHead(config: ModelConfig, path: string): void {
  const [architecture = ""] = architecturesOf(config);
  if (/For(TokenClassification|QuestionAnswering|NextSentencePrediction)$/.test(architecture)) {
    throw new CheckpointError(`${path}: is a ${architecture}, which no command asks; take the folder of another model`);
  }
  if (!isClassifier(config)) return;
  const names = classNames(config);
  if (names.length === 1 && names[0] === rewardLabel) {
    throw new CheckpointError(
      `${path}: is a reward model, which gives answers a number and writes no text; stemma reward --check measures it, stemma ppo trains with it`,
    );
  }
  throw new CheckpointError(`${path}: is a classifier (${architecture}), which writes no text; stemma predict asks it`);
}
