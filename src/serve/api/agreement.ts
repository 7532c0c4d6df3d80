import { groupBy } from "../../core/group-by.ts";
import type { SavedRanking } from "../../data/ranking-file.ts";
import { candidatesKey } from "../../data/ranking-file.ts";
import { denseRanks } from "../../data/rankings.ts";
import type { Agreement } from "../../eval/ranking-agreement.ts";
import { agreementOf, firstShown } from "../../eval/ranking-agreement.ts";
import { askModel } from "../asked-model.ts";
import { messagesOf } from "../feedback/question.ts";
import { requestLimits } from "../limits.ts";
import { readTexts } from "../read-texts.ts";
import type { Asked } from "../route.ts";
import { defineRoute, json } from "../route.ts";
import { AgreementReport } from "./feedback-answers.ts";
import { feedbackOf } from "./rankings.ts";

/** `GET /api/rankings/agreement?model=…` */
export const rankingAgreement = defineRoute({
  method: "GET",
  path: "/api/rankings/agreement",
  summary: "how far people agree with each other, and with a reward model (?model=name)",
  body: null,
  answer: { type: "json", schema: AgreementReport },
  async handle(asked) {
    const { rankings } = await feedbackOf(asked.service).rankings();
    const model = asked.query("model");
    const repeated = [...groupBy(rankings, candidatesKey).values()].flatMap(([first, second]) =>
      first && second ? [[first.ranks, second.ranks] as const] : [],
    );
    const raters = [...groupBy(rankings, ({ rater }) => rater ?? "")].map(([name, own]) => ({
      name,
      rankings: own.length,
    }));
    return json({
      rankings: rankings.length,
      raters: raters.sort((a, b) => b.rankings - a.rankings),
      repeated: agreementOf(repeated),
      firstShown: firstShown(rankings),
      rewardModel: model === undefined ? null : await withRewardModel(asked, model, rankings),
    } satisfies AgreementReport);
  },
});

/** Agreement of the newest rankings, as many as are scored in one request, with the order of a model's rewards. */
function withRewardModel(asked: Asked, name: string, rankings: readonly SavedRanking[]): Promise<Agreement> {
  return askModel(asked, name, "reward", async (opened) => {
    const { context } = opened.opened;
    const chosen: { readonly ranks: readonly number[]; readonly inputs: Int32Array[] }[] = [];
    let texts = 0;
    for (const ranking of rankings.toReversed()) {
      texts += ranking.completions.length;
      if (texts > requestLimits.texts) break;
      const prompt = messagesOf(ranking);
      const characters = [...prompt.map(({ content }) => content), ...ranking.completions].map((text) => text.length);
      if (Math.max(...characters) > context * requestLimits.charactersOfToken) continue; // cannot fit
      const answered = ranking.completions.map((answer) => opened.text.answered(prompt, answer));
      const inputs = (await Promise.all(answered)).map(({ ids }) => ids);
      if (inputs.every((ids) => ids.length <= context)) chosen.push({ ranks: ranking.ranks, inputs });
    }
    const inputs = chosen.flatMap((one) => one.inputs.map((ids) => ({ ids, skipped: 0 })));
    if (inputs.length === 0) {
      opened.release();
      return agreementOf([]);
    }
    const rewards = (await readTexts(asked, opened, inputs)).map(([reward = 0]) => reward);
    let at = 0;
    return agreementOf(
      chosen.map(({ ranks }) => {
        const own = rewards.slice(at, at + ranks.length);
        at += ranks.length;
        return [ranks, denseRanks(own.map((reward) => -reward))] as const;
      }),
    );
  });
}
