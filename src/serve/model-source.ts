import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { listCheckpoints } from "../checkpoint/train-state.ts";
import { CheckpointError, SettingsError } from "../core/errors.ts";
import { isGgufPath } from "../files/gguf-path.ts";
import { hubCache } from "../hub/hub-settings.ts";
import { asHubReference } from "../hub/hub-snapshot.ts";
import { encoderNamed } from "../models/encoders.ts";
import { openModel } from "../models/load.ts";
import { refuseOtherHead } from "../models/other-heads.ts";
import { anyFamilyIn } from "../models/read-model.ts";
import { isRewardModel } from "../models/reward-model.ts";
import { readSentenceModules } from "../models/sentence-modules.ts";
import type { ModelKind } from "./model-kind.ts";

/** A model that a server may open: what it is called, and where it lies. */
export interface ModelSource {
  readonly name: string;
  /** A model folder, a GGUF file, or the folder of a run. */
  readonly path: string;
}

/** What lies at a source now: of a run under way, another one later. */
export interface FoundModel {
  /** A model folder, or a GGUF file. */
  readonly path: string;
  readonly kind: ModelKind;
  /** When it was written, in seconds since 1970. */
  readonly created: number;
  /** Bytes that its weights take, about. */
  readonly bytes: number;
}

/**
 * Names and places of what `--model` says: `DIR`, or `name=DIR`. A folder's name is its own, or that of what it is a part of
 * where it is called `final` or after a step.
 *
 * @throws {SettingsError} when two have the same name.
 */
export function modelSources(given: readonly string[]): ModelSource[] {
  const sources = given.map((entry) => {
    const [, name, path] = /^([\w.:@-]+)=(.+)$/s.exec(entry) ?? [];
    if (name === undefined || path === undefined || existsSync(entry)) return { name: usualName(entry), path: entry };
    return { name, path };
  });
  for (const [i, { name, path }] of sources.entries()) {
    const other = sources.slice(0, i).find((before) => before.name === name);
    if (other) {
      throw new SettingsError(
        `model: ${other.path} and ${path} are both called ${name}; give one another name: --model other=${path}`,
      );
    }
  }
  return sources;
}

function usualName(path: string): string {
  const whole = resolve(path);
  const [, repository] = /^hub:([^@]+)/.exec(String(asHubReference(whole, resolve(hubCache())))) ?? [];
  if (repository !== undefined) return repository;
  const own = basename(whole, ".gguf");
  return /^(final|checkpoint-\d+)$/.test(own) ? basename(dirname(whole)) : own;
}

/**
 * Looks at a source: the model itself or, of a run's folder, the finished model or the newest checkpoint.
 *
 * @throws {CheckpointError} when there is no model, a part of it is missing, or it answers nothing that a server is asked.
 */
export async function findModel({ path: given }: ModelSource): Promise<FoundModel> {
  const path = await modelPath(given);
  const sentences = isGgufPath(path) ? null : await readSentenceModules(path);
  const folder = await openModel(sentences?.modelPath ?? path);
  try {
    const { mtimeMs } = await stat(path);
    const bytes = folder.tensors.names().reduce((sum, name) => sum + bytesOf(folder.tensors.info(name)), 0);
    const kind = kindOf(folder.config, folder.path, sentences !== null);
    return { path, kind, created: Math.floor(mtimeMs / 1000), bytes };
  } finally {
    await folder.close();
  }
}

async function modelPath(path: string): Promise<string> {
  if (isGgufPath(path) || existsSync(join(path, "config.json"))) return path;
  const final = join(path, "final");
  if (existsSync(join(final, "config.json"))) return final;
  return (await listCheckpoints(path)).at(-1)?.path ?? path;
}

function kindOf(config: Record<string, unknown>, path: string, isSentenceModel: boolean): ModelKind {
  if (isSentenceModel || encoderNamed(config)) return "embedder";
  if (isRewardModel(config)) return "reward";
  const family = anyFamilyIn(config, path);
  refuseOtherHead(config, path);
  if ((family.architecture ?? "decoder") === "decoder") return "decoder";
  throw new CheckpointError(
    `${path}: is an encoder-decoder (${family.modelType}); stemma generate asks it, a server does not`,
  );
}

/** About: blocks of fewer bits are held as they are, what has more than 32 is rounded. */
function bytesOf({ dtype, shape }: { readonly dtype: string; readonly shape: readonly number[] }): number {
  const each = /^(F32|F64|I)/.test(dtype) ? 4 : /^B?F16$/.test(dtype) ? 2 : 1;
  return each * shape.reduce((product, size) => product * size, 1);
}
