/**
 * Stemma in a browser: models read from bytes that a page has, computed by the reference backend. Nothing here, nor
 * anything that it imports, needs Node.
 *
 * @packageDocumentation
 */
export type { Backend, MatmulPrecision } from "./backend/kernels.ts";
export type { ReferenceOptions } from "./backend/reference/index.ts";
export { openReference } from "./backend/reference/index.ts";
export type { ByteSource } from "./checkpoint/byte-source.ts";
export { memorySource } from "./checkpoint/byte-source.ts";
export { readSafetensors, safetensorsChunks } from "./checkpoint/safetensors.ts";
export type { TensorSource } from "./checkpoint/tensor-source.ts";
export {
  CheckpointError,
  DataError,
  NumericalError,
  SettingsError,
  ShapeError,
  StemmaError,
  UnsupportedError,
} from "./core/errors.ts";
export { Random } from "./core/random.ts";
export type { Shape } from "./core/shape.ts";
export type { JsonObject } from "./files/json.ts";
export type { TextFiles } from "./files/text-files.ts";
export { memoryTexts } from "./files/text-files.ts";
export { ChatSession } from "./generate/chat-session.ts";
export type { EngineOptions } from "./generate/engine.ts";
export { Engine } from "./generate/engine.ts";
export type { FinishReason, GeneratedToken, GenerationOptions } from "./generate/generate.ts";
export { generate } from "./generate/generate.ts";
export type { TextGenerationOptions, TextPiece } from "./generate/generate-text.ts";
export { generateText } from "./generate/generate-text.ts";
export type { AnswerGrammar } from "./generate/grammar/answer-grammar.ts";
export type { LensSlice } from "./generate/logit-lens.ts";
export { logitLens } from "./generate/logit-lens.ts";
export { SamplingSettings } from "./generate/sampling.ts";
export type { Score } from "./generate/score.ts";
export { score } from "./generate/score.ts";
export type {
  EngineEvent,
  EngineState,
  ScoredToken,
  SequenceRequest,
  SequenceSampling,
  TokenGuide,
} from "./generate/sequence-request.ts";
export type { ModelFamily, ModelShape } from "./models/family.ts";
export { families, otherFamilies } from "./models/index.ts";
export type { LanguageModel } from "./models/language-model.ts";
export type { LoadedModel, ModelSource } from "./models/read-model.ts";
export { readModel, readModelOf } from "./models/read-model.ts";
export type { ForwardOptions } from "./nn/attention.ts";
export { freeze, Initializer, Parameter, parameterCount, parameters } from "./nn/parameters.ts";
export { AdamW } from "./optim/adamw.ts";
export { withGradients, withoutGradients } from "./tensor/op.ts";
export { tensorScope } from "./tensor/scope.ts";
export { Tensor } from "./tensor/tensor.ts";
export type { ChatMessage } from "./text/chat-message.ts";
export { ChatTemplate } from "./text/chat-template.ts";
export { readChatTemplate } from "./text/chat-template-file.ts";
export { ChatEncoder } from "./text/encode-chat.ts";
export type { FolderIds } from "./text/folder-ids.ts";
export { readFolderIds } from "./text/folder-ids.ts";
export { readTokenizer, tokenizerFromJson } from "./text/read-tokenizer.ts";
export { begun, bounded } from "./text/text-bounds.ts";
export type { Tokenizer } from "./text/tokenizer.ts";
export { nextTokenLoss } from "./train/objectives/next-token.ts";
export { optimizerStep } from "./train/optimizer-step.ts";
export type { Metrics, MicroBatch, Objective, Outcome, Run } from "./train/run.ts";
export { defineRun } from "./train/run.ts";
export { train } from "./train/train.ts";
