import { openMachine } from "../backend/machine-settings.ts";
import type { LlamaCppProof } from "../eval/llama-cpp-proof.ts";
import { proveGguf } from "../eval/llama-cpp-proof.ts";
import type { Io } from "./command.ts";

/** Says how far llama.cpp agrees on a GGUF file, and fails where it does not. */
export async function proveExport(path: string, llamaCpp: string, io: Io): Promise<LlamaCppProof> {
  const backend = await openMachine({ threads: 0, matmulPrecision: "float32" }, io);
  const proof = await proveGguf(path, backend, llamaCpp);
  const { tokens, firstOtherToken, logitError, logitBound, continued, sameContinued } = proof;
  const share = (value: number): string => `${(100 * value).toPrecision(2)} %`;
  const lines = [
    firstOtherToken === null
      ? `${tokens} tokens of a conversation are the same`
      : `token ${firstOtherToken + 1} of ${tokens} of a conversation is another`,
    `logits differ by ${share(logitError)} of their spread (at most ${share(logitBound)} is rounding)`,
    `${sameContinued} of ${continued} tokens of the answer are the same${sameContinued < continued && proof.agrees ? ", then its choice is within rounding of the best" : ""}`,
  ];
  io.print(`${proof.agrees ? "llama.cpp agrees" : "llama.cpp DISAGREES"}: ${lines.join("; ")}`);
  if (!proof.agrees) io.fail();
  return proof;
}
