import { stages } from "../stages/index.ts";
import { chat } from "./chat.ts";
import type { Command } from "./command.ts";
import { data } from "./data.ts";
import { doctor } from "./doctor.ts";
import { embed } from "./embed.ts";
import { env } from "./env.ts";
import { evaluate } from "./eval.ts";
import { exportModel } from "./export.ts";
import { generate } from "./generate.ts";
import { importModel } from "./import.ts";
import { merge } from "./merge.ts";
import { plan } from "./plan.ts";
import { predict } from "./predict.ts";
import { pull } from "./pull.ts";
import { quickstart } from "./quickstart.ts";
import { rank } from "./rank.ts";
import { runs } from "./runs.ts";
import { runsPlot } from "./runs-plot.ts";
import { runsShow } from "./runs-show.ts";
import { sample } from "./sample.ts";
import { score } from "./score.ts";
import { search } from "./search.ts";
import { serve } from "./serve.ts";
import { stageCommand } from "./stage-command.ts";
import { tokenizerDecode } from "./tokenizer-decode.ts";
import { tokenizerEncode } from "./tokenizer-encode.ts";
import { tokenizerTrain } from "./tokenizer-train.ts";
import { ui } from "./ui.ts";

/** Every command, in the order of the help. Stages come as commands by themselves. */
export const commands: readonly Command[] = [
  quickstart,
  ...stages.map(stageCommand),
  generate,
  score,
  chat,
  serve,
  ui,
  sample,
  plan,
  predict,
  embed,
  search,
  evaluate,
  rank,
  runs,
  runsShow,
  runsPlot,
  pull,
  data,
  exportModel,
  importModel,
  merge,
  tokenizerTrain,
  tokenizerEncode,
  tokenizerDecode,
  doctor,
  env,
];
