import { z } from "zod";

const Turn = z.looseObject({ role: z.string(), content: z.string() });

const Task = z.object({
  name: z.string(),
  prompts: z.int(),
  /** Prompts that somebody ranked. */
  ranked: z.int(),
});

/** `GET /api/feedback`: what this server keeps of what people say. */
export const FeedbackOffer = z.object({
  /** Files that it writes; null where it keeps nothing. */
  files: z.object({ rankings: z.string(), conversations: z.string() }).nullable(),
});
export type FeedbackOffer = z.output<typeof FeedbackOffer>;

/** `GET /api/rankings` */
export const RankingTasks = z.object({
  file: z.string(),
  /** Folder of a model of this server that a reward model can begin as; null where it has none. */
  base: z.string().nullable(),
  tasks: z.array(Task),
});
export type RankingTasks = z.output<typeof RankingTasks>;

/** `GET /api/rankings/next` */
export const NextQuestion = z.object({
  question: z
    .object({
      /** What its ranking is sent back with. */
      ticket: z.string(),
      /** Place of the prompt, from 0. */
      index: z.int(),
      prompt: z.array(Turn).readonly(),
      /** In the order in which they are to be shown. */
      answers: z.array(z.string()).readonly(),
      isSecond: z.boolean(),
    })
    .nullable(),
  prompts: z.int(),
  ranked: z.int(),
});
export type NextQuestion = z.output<typeof NextQuestion>;

/** `POST /api/rankings` */
export const SavedRankingAnswer = z.object({
  /** False where the same person ranked these answers meanwhile, as in another window. */
  isSaved: z.boolean(),
  /** The ranks as they were saved, in the order shown. */
  ranks: z.array(z.int()),
  /** Who wrote the answers, in the order shown, where that is known. */
  models: z.array(z.string()).nullable(),
  ranked: z.int(),
});
export type SavedRankingAnswer = z.output<typeof SavedRankingAnswer>;

/** `POST /api/rankings/undo` */
export const UndoneRanking = z.object({ isUndone: z.boolean() });
export type UndoneRanking = z.output<typeof UndoneRanking>;

const Agreement = z.object({
  rankings: z.int(),
  pairs: z.int(),
  pairwise: z.number().nullable(),
  tauB: z.number().nullable(),
});

/** `GET /api/rankings/agreement` */
export const AgreementReport = z.object({
  rankings: z.int(),
  raters: z.array(z.object({ name: z.string(), rankings: z.int() })),
  /** First and second rankings of the same answers. */
  repeated: Agreement,
  firstShown: z.object({ rankings: z.int(), share: z.number().nullable(), expected: z.number().nullable() }),
  /** The newest rankings against a reward model; null where none was named. */
  rewardModel: Agreement.nullable(),
});
export type AgreementReport = z.output<typeof AgreementReport>;

/** Answers to what is sent to be kept. */
export const Kept = z.object({ path: z.string() });
export type Kept = z.output<typeof Kept>;
