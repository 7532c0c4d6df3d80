import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { CheckpointError, SettingsError } from "../core/errors.ts";

/** What llama.cpp makes of a text. */
export interface LlamaCppAnswer {
  /** Ids of the text. */
  readonly ids: readonly number[];
  /** Probability of each token after the text, by id. */
  readonly probabilities: readonly number[];
  /** The most probable continuation. */
  readonly continuation: readonly number[];
}

/** What is asked of {@link askLlamaCpp}. */
export interface LlamaCppQuestion {
  /** A GGUF file. */
  readonly model: string;
  readonly text: string;
  /** Tokens to continue the text by. */
  readonly count: number;
  readonly timeLimitMs: number;
}

/** The package by which llama.cpp is asked, which is not a dependency. */
const packageName = "node-llama-cpp";

const program = fileURLToPath(new URL("../../bin/ask-llama-cpp.js", import.meta.url));

/**
 * Asks llama.cpp, through node-llama-cpp in a process of its own, what it makes of a text.
 *
 * @param module - URL of node-llama-cpp: see {@link findLlamaCpp}.
 * @throws {CheckpointError} when llama.cpp refuses the file, or does not answer in time.
 */
export async function askLlamaCpp(
  { timeLimitMs, ...question }: LlamaCppQuestion,
  module: string,
): Promise<LlamaCppAnswer> {
  const args = [program, module, JSON.stringify(question)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  const [output, complaints] = [collect(child.stdout), collect(child.stderr)];
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill("SIGKILL");
  }, timeLimitMs);
  const code = await new Promise<number | null>((done, fail) => {
    child.on("error", fail);
    child.on("close", done);
  }).finally(() => clearTimeout(timer));
  if (isLate) {
    throw new CheckpointError(
      `${question.model}: llama.cpp did not answer within ${timeLimitMs / 1000} s; try it there by hand`,
    );
  }
  if (code === 0) return JSON.parse(output()) as LlamaCppAnswer;
  throw new CheckpointError(`${question.model}: llama.cpp does not open it: ${lastWords(complaints(), code)}`);
}

/**
 * URL of node-llama-cpp: in the current folder, beside Stemma itself, or where `npm install --prefix .stemma/peers` puts it.
 *
 * @throws {SettingsError} when it is in none of them, saying how to install it.
 */
export function findLlamaCpp(): string {
  const places = [join(resolve(), "package.json"), import.meta.url, resolve(".stemma/peers/package.json")];
  for (const place of places) {
    try {
      return pathToFileURL(createRequire(place).resolve(packageName)).href;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "MODULE_NOT_FOUND" && code !== "ERR_PACKAGE_PATH_NOT_EXPORTED") throw error;
    }
  }
  throw new SettingsError(`prove: ${packageName} is not installed; add it with npm install ${packageName}`);
}

function collect(stream: NodeJS.ReadableStream): () => string {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString();
}

/** The line of an error that says what is wrong. */
function lastWords(complaints: string, code: number | null): string {
  const lines = complaints.split("\n").map((line) => line.trim());
  return lines.find((line) => /error/i.test(line))?.slice(0, 300) ?? `it ended with code ${code ?? "of a signal"}`;
}
