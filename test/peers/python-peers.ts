import { existsSync } from "node:fs";
import { join } from "node:path";
import { PeerProcess } from "../../bench/peers/peer-process.ts";

const own = join(import.meta.dirname, "../../.stemma/peers/python/bin/python");

/**
 * The Python that has transformers, PEFT and lm_eval, or null: `STEMMA_PEERS` names it, or `npm run peers` made it. They
 * are no dependencies; tests that need them are skipped without.
 */
export const pythonPeers: string | null = process.env.STEMMA_PEERS ?? (existsSync(own) ? own : null);

/** What a skipped suite is called, so that the report says how to run it. */
export const peersHint = pythonPeers === null ? " (skipped: npm run peers brings them)" : "";

/** Starts a script of this folder, which reads commands and answers them; it looks nothing up in the network. */
export function startPython(script: string): PeerProcess {
  if (pythonPeers === null) throw new Error("internal: there is no Python to start");
  const offline = ["HF_HUB_OFFLINE=1", "TRANSFORMERS_OFFLINE=1", "TOKENIZERS_PARALLELISM=false", "OMP_NUM_THREADS=1"];
  return new PeerProcess("env", [...offline, pythonPeers, join(import.meta.dirname, script)]);
}
