import { DataError } from "../../core/errors.ts";
import { groupBy } from "../../core/group-by.ts";
import type { SavedRanking } from "../../data/ranking-file.ts";
import { candidatesKey } from "../../data/ranking-file.ts";
import { denseRanks } from "../../data/rankings.ts";
import type { Agreement } from "../../eval/ranking-agreement.ts";
import { agreementOf, firstShown } from "../../eval/ranking-agreement.ts";
import type { AskedModel } from "../asked-model.ts";
import { askModel } from "../asked-model.ts";
import { messagesOf } from "../feedback/question.ts";
import { requestLimits } from "../limits.ts";
import { readTexts } from "../read-texts.ts";
import type { Asked } from "../route.ts";
import { defineGet, json } from "../route.ts";
import { AgreementReport } from "./feedback-answers.ts";
import { feedbackOf } from "./rankings.ts";

/** `GET /api/rankings/agreement?model=…` */
export const rankingAgreement = defineGet({
  path: "/api/rankings/agreement",
  summary: "how far people agree with each other, and with a reward model (?model=name)",
  answer: AgreementReport,
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

/** Agreement of the newest rankings that a model can read, as many as one request may score, with the order of its rewards. */
function withRewardModel(asked: Asked, name: string, rankings: readonly SavedRanking[]): Promise<Agreement> {
  return askModel(asked, name, "reward", async (opened) => {
    const chosen: { readonly ranks: readonly number[]; readonly inputs: Int32Array[] }[] = [];
    let texts = 0;
    for (const ranking of rankings.toReversed()) {
      texts += ranking.completions.length;
      if (texts > requestLimits.texts) break;
      const inputs = await inputsOf(ranking, opened);
      if (inputs !== null) chosen.push({ ranks: ranking.ranks, inputs });
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

/** Each answer with its prompt; null where the model cannot read them: they are too long, or its template refuses them. */
async function inputsOf(ranking: SavedRanking, { text, opened }: AskedModel): Promise<Int32Array[] | null> {
  const prompt = messagesOf(ranking);
  const characters = [...prompt.map(({ content }) => content), ...ranking.completions].map(({ length }) => length);
  if (Math.max(...characters) > opened.context * requestLimits.charactersOfToken) return null;
  try {
    const inputs = (await text.answered(prompt, ranking.completions)).map(({ ids }) => ids);
    return inputs.every((ids) => ids.length <= opened.context) ? inputs : null;
  } catch (error) {
    if (error instanceof DataError) return null;
    throw error;
  }
}
