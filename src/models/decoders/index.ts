import { bloom } from "./bloom.ts";
import { cohere, cohere2 } from "./cohere.ts";
import { falcon } from "./falcon.ts";
import { gemma, gemma2, gemma3 } from "./gemma.ts";
import { gptJ } from "./gpt-j.ts";
import { gptNeo } from "./gpt-neo.ts";
import { gptNeox } from "./gpt-neox.ts";
import { granite } from "./granite.ts";
import { llama } from "./llama.ts";
import { mistral } from "./mistral.ts";
import { mixtral } from "./mixtral.ts";
import { olmo, olmo2, olmo3 } from "./olmo.ts";
import { opt } from "./opt.ts";
import { phi, phi3 } from "./phi.ts";
import { qwen2 } from "./qwen2.ts";
import { qwen3, qwen3Moe } from "./qwen3.ts";
import { smollm3 } from "./smollm3.ts";
import { stablelm } from "./stablelm.ts";
import { starcoder2 } from "./starcoder2.ts";

/** Families of {@link TransformerDecoder}s by the name that `--model` takes. Adding one is a file and a line here. */
export const decoders = {
  ...{ llama, mistral, mixtral, qwen2, qwen3, gemma, gemma2, gemma3, smollm3, phi, phi3, olmo, olmo2, olmo3 },
  ...{ stablelm, starcoder2, cohere, cohere2, granite, bloom, falcon, opt },
  "qwen3-moe": qwen3Moe,
  "gpt-neox": gptNeox,
  "gpt-j": gptJ,
  "gpt-neo": gptNeo,
} as const;
