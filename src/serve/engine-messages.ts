import type { EngineEvent, EngineState, SequenceRequest } from "../generate/sequence-request.ts";
import type { SentenceModules } from "../models/sentence-modules.ts";
import type { WeightChoice } from "../models/weight-choice.ts";
import type { Inspected, Question } from "./inspection.ts";
import type { ModelKind } from "./model-kind.ts";

/** What an engine is started with. */
export interface EngineStart {
  readonly path: string;
  readonly kind: ModelKind;
  readonly slots: number;
  /** 0 is as many as can run at once. */
  readonly threads: number;
  readonly weights: WeightChoice;
  /** Tokens of a sequence, at most; null for as many as the model reads and `cacheBytes` hold. */
  readonly context: number | null;
  /** What the sequences of all slots may take together. */
  readonly cacheBytes: number;
}

/** What is known of a model once it is open. */
export interface OpenedModel {
  /** Bytes that it takes, and the sequences of all slots. */
  readonly bytes: number;
  /** Tokens that a sequence, or a text, has at most. */
  readonly context: number;
  readonly vocabularySize: number;
  /** What whoever runs the server should know of it, as lines. */
  readonly notes: readonly string[];
  /** How texts become an embedding; null where none do. */
  readonly modules: SentenceModules | null;
  /** Null where it has none. */
  readonly attention: { readonly layers: number; readonly heads: number } | null;
}

/** A text as the engine of an embedding model, or of a reward model, reads it. */
export interface TextInput {
  readonly ids: Int32Array;
  /** Leading tokens that do not count in pooling. */
  readonly skipped: number;
}

/** What an engine is told. Only plain records cross to its process. */
export type ToEngine =
  | { readonly type: "generate"; readonly request: SequenceRequest }
  /** Ends one copy of a request, or all. */
  | { readonly type: "cancel"; readonly id: number; readonly copy: number | null }
  /** Asks for a vector of each text, or for its reward as a vector of one number. */
  | { readonly type: "read"; readonly id: number; readonly inputs: readonly TextInput[] }
  /** Asks about the model itself. */
  | { readonly type: "inspect"; readonly id: number; readonly question: Question };

/** What an engine says. */
export type FromEngine =
  | { readonly type: "ready"; readonly model: OpenedModel }
  /** Its model cannot be opened; it ends. */
  | { readonly type: "unusable"; readonly message: string }
  /** A step was made; this happened in it. */
  | { readonly type: "step"; readonly events: readonly EngineEvent[]; readonly state: EngineState }
  | { readonly type: "vectors"; readonly id: number; readonly vectors: readonly Float32Array[] }
  /** Something takes more than a moment, and goes on. */
  | { readonly type: "working" }
  | { readonly type: "inspected"; readonly id: number; readonly answer: Inspected }
  /** A request cannot be done; it may be its own fault. */
  | { readonly type: "refused"; readonly id: number; readonly message: string; readonly isOwnFault: boolean };
