/**
 * Stemma as a library: what the command line does, as calls. From the bottom up, as the folders are.
 *
 * @packageDocumentation
 */
export type { BackendName, OpenOptions } from "./backend/index.ts";
export { openBackend } from "./backend/index.ts";
export type { Backend, MatmulPrecision } from "./backend/kernels.ts";
export { openMachine } from "./backend/machine-settings.ts";
export { openReference } from "./backend/reference/index.ts";
export type { AttentionMap, WatchedBackend } from "./backend/watch-attention.ts";
export { watchAttention } from "./backend/watch-attention.ts";
export type { ByteSource } from "./checkpoint/byte-source.ts";
export { memorySource } from "./checkpoint/byte-source.ts";
export { convertFolder } from "./checkpoint/convert-folder.ts";
export type { ModelContents } from "./checkpoint/model-folder.ts";
export { openModelFolder, writeModelFolder } from "./checkpoint/model-folder.ts";
export { readSafetensors, safetensorsChunks } from "./checkpoint/safetensors.ts";
export { openSafetensors, writeSafetensors } from "./checkpoint/safetensors-file.ts";
export {
  CheckpointError,
  DataError,
  FileError,
  InterruptedError,
  NetworkError,
  NumericalError,
  SettingsError,
  ShapeError,
  StemmaError,
  UnsupportedError,
} from "./core/errors.ts";
export { Random } from "./core/random.ts";
export type { Shape } from "./core/shape.ts";
export { readConversations } from "./data/conversations.ts";
export { readDocuments } from "./data/documents.ts";
export { evaluationWindows } from "./data/evaluation-windows.ts";
export type { MaskedBatch, MaskingTokens } from "./data/masked-words.ts";
export { maskedWindows, maskWords } from "./data/masked-words.ts";
export { prefixWindows } from "./data/prefix-windows.ts";
export type { PretrainingData } from "./data/prepare.ts";
export { preparePretraining } from "./data/prepare.ts";
export { recipes } from "./data/recipes/index.ts";
export type { TextPairs } from "./data/span-corruption.ts";
export { corruptedWindows, corruptSpans } from "./data/span-corruption.ts";
export { memoryTokens } from "./data/token-file.ts";
export type { TokenBatch } from "./data/windows.ts";
export { ignoredTarget, trainingWindows } from "./data/windows.ts";
export { ModelScorer } from "./eval/model-scorer.ts";
export { runTask } from "./eval/run-task.ts";
export { openTask } from "./eval/task-file.ts";
export { taskPrompts } from "./eval/task-prompts.ts";
export type { TextFiles } from "./files/text-files.ts";
export { memoryTexts } from "./files/text-files.ts";
export type { Assistant } from "./generate/assistant.ts";
export { assistantContents, openAssistant } from "./generate/assistant.ts";
export { ChatSession } from "./generate/chat-session.ts";
export type { EmbedOptions, PromptChoice } from "./generate/embed.ts";
export { embedTexts } from "./generate/embed.ts";
export type { Embedder, EmbedderOptions } from "./generate/embedder.ts";
export { embedderContents, openEmbedder } from "./generate/embedder.ts";
export { fillIn } from "./generate/fill-in.ts";
export type { FinishReason, GeneratedToken, GenerationOptions } from "./generate/generate.ts";
export { generate } from "./generate/generate.ts";
export type { TextGenerationOptions, TextPiece } from "./generate/generate-text.ts";
export { generateText } from "./generate/generate-text.ts";
export type { SamplingOptions } from "./generate/sampling.ts";
export { SamplingSettings } from "./generate/sampling.ts";
export type { Score } from "./generate/score.ts";
export { score } from "./generate/score.ts";
export type { Neighbour } from "./generate/similarity.ts";
export { nearestVectors, similarity } from "./generate/similarity.ts";
export type { FoundText, WrittenText } from "./generate/text-to-text.ts";
export { searchTexts, writeTexts } from "./generate/text-to-text.ts";
export type { PulledModel, PullOptions } from "./hub/pull-model.ts";
export { openHubModel, pullModel } from "./hub/pull-model.ts";
export { bertClassifier } from "./models/bert-families.ts";
export { EmbeddingModel } from "./models/embedding-model.ts";
export { encoders } from "./models/encoders.ts";
export type { ModelFamily, ModelShape } from "./models/family.ts";
export { exportGguf, importGguf } from "./models/gguf/files.ts";
export type { GgufMixture } from "./models/gguf/mixtures.ts";
export { families, otherFamilies } from "./models/index.ts";
export type { LanguageModel } from "./models/language-model.ts";
export { loadModel, loadModelOf } from "./models/load.ts";
export { encoderOperationsPerToken, operationsPerToken, textToTextOperationsPerToken } from "./models/operations.ts";
export type { ModelSource } from "./models/read-model.ts";
export { readModel, readModelOf, storedTensors } from "./models/read-model.ts";
export type { SentenceModules } from "./models/sentence-modules.ts";
export type { ForwardOptions, SelfAttentionOptions } from "./nn/attention.ts";
export { SelfAttention } from "./nn/attention.ts";
export type { BiasedAttentionOptions } from "./nn/biased-attention.ts";
export { BiasedAttention, CrossAttention } from "./nn/biased-attention.ts";
export { dropOut } from "./nn/dropout.ts";
export { Linear } from "./nn/linear.ts";
export { LayerNorm } from "./nn/norm.ts";
export { freeze, Initializer, Parameter, parameterCount, parameters } from "./nn/parameters.ts";
export { RmsNorm } from "./nn/rms-norm.ts";
export type { AdamWSettings, ParameterRates } from "./optim/adamw.ts";
export { AdamW } from "./optim/adamw.ts";
export { clipGradients } from "./optim/clip-gradients.ts";
export type { Optimizer } from "./optim/optimizer.ts";
export type { ScheduleSettings } from "./optim/schedule.ts";
export { learningRateAt } from "./optim/schedule.ts";
export { distill } from "./stages/distill.ts";
export { dpo } from "./stages/dpo.ts";
export { finetune } from "./stages/finetune.ts";
export { grpo } from "./stages/grpo.ts";
export { ppo } from "./stages/ppo.ts";
export { pretrain } from "./stages/pretrain/index.ts";
export { align } from "./stages/quickstart/align.ts";
export type { Corpus } from "./stages/quickstart/corpus.ts";
export { writeCorpus } from "./stages/quickstart/corpus.ts";
export { pretrainBase } from "./stages/quickstart/pretrain-base.ts";
export { reward } from "./stages/reward.ts";
export type { StageResult, Watcher } from "./stages/run-stage.ts";
export { runStage } from "./stages/run-stage.ts";
export { sft } from "./stages/sft.ts";
export type { Stage, StageEnvironment, StageRun } from "./stages/stage.ts";
export { defineStage, runSettings, trainingSettings } from "./stages/stage.ts";
export type { TrainStage } from "./stages/train-stage.ts";
export { newOptimizer, trainStage } from "./stages/train-stage.ts";
export { composeGap, functionGradientGap, gradientGap } from "./tensor/check-op.ts";
export type { Op } from "./tensor/op.ts";
export { apply, defineOp, withGradients, withoutGradients } from "./tensor/op.ts";
export type { AttentionAttrs } from "./tensor/ops/attention.ts";
export { attention, selfAttention } from "./tensor/ops/attention.ts";
export type { AttentionMask } from "./tensor/ops/attention-mask.ts";
export { tensorScope } from "./tensor/scope.ts";
export { Tensor } from "./tensor/tensor.ts";
export { ByteLevelBpeTrainer, trainByteLevelBpe } from "./text/bpe-trainer.ts";
export { CharacterTrainer } from "./text/characters.ts";
export type { ChatMessage } from "./text/chat-message.ts";
export { ChatTemplate } from "./text/chat-template.ts";
export { readChatTemplate } from "./text/chat-template-file.ts";
export { ChatEncoder } from "./text/encode-chat.ts";
export type { FolderIds } from "./text/folder-ids.ts";
export { readFolderIds } from "./text/folder-ids.ts";
export { Gpt1BpeTrainer } from "./text/gpt1-trainer.ts";
export { loadChatEncoder } from "./text/load-chat-encoder.ts";
export { loadTokenizer } from "./text/load-tokenizer.ts";
export { readTokenizer, tokenizerFromJson } from "./text/read-tokenizer.ts";
export { begun, bounded } from "./text/text-bounds.ts";
export type { Tokenizer } from "./text/tokenizer.ts";
export { tokenizerFiles } from "./text/tokenizer-files.ts";
export type { TokenizerTrainer } from "./text/tokenizer-trainer.ts";
export { UnigramTrainer } from "./text/unigram-trainer.ts";
export { WordPieceTrainer } from "./text/word-piece-trainer.ts";
export { meanLoss } from "./train/mean-loss.ts";
export { distillationLoss, divergences } from "./train/objectives/distillation.ts";
export { dpoLoss } from "./train/objectives/dpo.ts";
export { groupAdvantages, grpoLoss } from "./train/objectives/grpo.ts";
export { klEstimate } from "./train/objectives/kl.ts";
export { ktoLoss } from "./train/objectives/kto.ts";
export { nextTokenLoss, targetLogProbs, trainingLoss } from "./train/objectives/next-token.ts";
export { orpoLoss } from "./train/objectives/orpo.ts";
export { policyLoss, valueLoss } from "./train/objectives/ppo.ts";
export { rankedPairs, rankingLoss } from "./train/objectives/reward.ts";
export { simpoLoss } from "./train/objectives/simpo.ts";
export type { TokenLogProbs } from "./train/objectives/token-log-probs.ts";
export { tokenLogProbs } from "./train/objectives/token-log-probs.ts";
export { optimizerStep } from "./train/optimizer-step.ts";
export type { MeasuredLoss, Metrics, MicroBatch, Objective, Outcome, Run } from "./train/run.ts";
export { defineRun } from "./train/run.ts";
export { evaluateText } from "./train/text-loss.ts";
export { train } from "./train/train.ts";
