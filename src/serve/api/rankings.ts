import { z } from "zod";
import { parseOrder } from "../../data/ranking-file.ts";
import { ApiError, wrongField } from "../api-error.ts";
import type { Feedback } from "../feedback/feedback.ts";
import type { RankingTask } from "../feedback/question.ts";
import { readTicket } from "../feedback/question.ts";
import { optional, queryNumber, readFields, usually } from "../fields.ts";
import type { Asked, Service } from "../route.ts";
import { defineGet, definePost, json } from "../route.ts";
import { NextQuestion, RankingTasks, SavedRankingAnswer, UndoneRanking } from "./feedback-answers.ts";

/** A name that a page gives to something it sends, so that it may send it again. */
export const SentId = z.string().regex(/^[\w-]{8,64}$/, "must have 8 to 64 letters, digits, - and _");

const RaterName = z
  .string()
  .max(80)
  .regex(/^[^\p{Cc}\p{Bidi_Control}]*$/u, "must have no control characters");
const Named = z.object({ rater: usually(RaterName, "") });

/**
 * What a server keeps of what people say.
 *
 * @throws {ApiError} 404 where it keeps nothing.
 */
export function feedbackOf({ feedback }: Service): Feedback {
  if (feedback) return feedback;
  const message = "this server keeps no rankings and conversations; start it with --feedback FOLDER, or --rank FILE";
  throw new ApiError(404, message, { code: "no_feedback" });
}

/** Prompts of a task that somebody ranked. */
async function rankedIn({ all }: RankingTask, feedback: Feedback): Promise<number> {
  const file = await feedback.rankings();
  return all.filter((candidates) => file.has(candidates)).length;
}

/** `GET /api/rankings` */
export const rankingTasks = defineGet({
  path: "/api/rankings",
  summary: "what there is to rank",
  answer: RankingTasks,
  async handle({ service }) {
    const feedback = feedbackOf(service);
    const tasks = await Promise.all(
      (await feedback.tasks()).map(async (task) => {
        return { name: task.name, prompts: task.all.length, ranked: await rankedIn(task, feedback) };
      }),
    );
    const writers = service.models.all().filter(({ found }) => found.kind === "decoder");
    const base = (writers.find(({ name }) => name === "sft") ?? writers[0])?.found.path ?? null;
    return json({ file: feedback.rankingsPath, base, tasks } satisfies RankingTasks);
  },
});

/** `GET /api/rankings/next?task=…&from=…&rater=…&page=…` */
export const nextRanking = defineGet({
  path: "/api/rankings/next",
  summary: "the next answers to be ranked, without who wrote them (?task=name&from=place&rater=name&page=id)",
  answer: NextQuestion,
  async handle(asked) {
    const { service, query } = asked;
    const feedback = feedbackOf(service);
    const task = await feedback.task(query("task") ?? "");
    const from = queryNumber(asked, "from", "the place of a prompt");
    const { rater } = readFields(Named, { rater: query("rater") });
    const file = await feedback.rankings();
    const asker = { rater, page: (query("page") ?? "").slice(0, 64), now: Date.now() };
    const question = feedback.questions.next(task, file, asker, from ?? 0);
    const ranked = await rankedIn(task, feedback);
    return json({ question, prompts: task.all.length, ranked } satisfies NextQuestion);
  },
});

const SaveRequest = z.object({
  task: z.string(),
  ticket: z.string().max(64).describe("what the question came with"),
  order: z.string().max(400).describe("numbers of the answers from 1 as they were shown, best first: 3 1=4 2"),
  id: SentId.describe("names this decision; sent again, it is saved once"),
  rater: Named.shape.rater.describe("who decided"),
  seconds: optional(z.number().min(0).max(86_400)).describe("time that it took"),
});

/** `POST /api/rankings` */
export const saveRanking = definePost({
  path: "/api/rankings",
  summary: "save how somebody orders answers",
  body: SaveRequest,
  answer: SavedRankingAnswer,
  async handle({ service, body }: Asked<z.output<typeof SaveRequest>>) {
    const feedback = feedbackOf(service);
    const task = await feedback.task(body.task);
    const { index, candidates, attempt, order } = readTicket(body.ticket, task);
    const shownRanks = parseOrder(body.order, order.length);
    if (typeof shownRanks === "string") throw wrongField("order", `order: ${shownRanks}`);
    const isSaved = await feedback.save(candidates, attempt, {
      ranks: candidates.completions.map((_, answer) => shownRanks[order.indexOf(answer)] ?? 0),
      shown: order,
      id: body.id,
      ratedAt: new Date().toISOString(),
      ...(body.rater === "" ? {} : { rater: body.rater }),
      ...(body.seconds === null ? {} : { seconds: Math.round(body.seconds * 10) / 10 }),
    });
    feedback.questions.answered(task, index);
    const { models } = candidates;
    const written = models ? order.map((answer) => models[answer] ?? "") : null;
    const ranked = await rankedIn(task, feedback);
    return json({ isSaved, ranks: [...shownRanks], models: written, ranked } satisfies SavedRankingAnswer);
  },
});

/** `POST /api/rankings/undo` */
export const undoRanking = definePost({
  path: "/api/rankings/undo",
  summary: "take a saved ranking away again",
  body: z.object({ id: SentId }),
  answer: UndoneRanking,
  async handle({ service, body }) {
    const undone = await feedbackOf(service).undo(body.id);
    return json({ isUndone: undone !== null } satisfies UndoneRanking);
  },
});
