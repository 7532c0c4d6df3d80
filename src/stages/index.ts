import { clip } from "./clip.ts";
import { distill } from "./distill.ts";
import { dpo } from "./dpo.ts";
import { finetune } from "./finetune.ts";
import { grpo } from "./grpo.ts";
import { ppo } from "./ppo.ts";
import { pretrain } from "./pretrain/index.ts";
import { reward } from "./reward.ts";
import { seq2seq } from "./seq2seq.ts";
import { sft } from "./sft.ts";
import type { Stage } from "./stage.ts";

/** Every stage; each is a command of the same name. */
export const stages: readonly Stage[] = [pretrain, seq2seq, finetune, sft, reward, ppo, grpo, dpo, distill, clip];
