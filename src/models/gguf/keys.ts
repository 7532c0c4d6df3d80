import type { GgufValue } from "../../checkpoint/gguf-values.ts";
import { CheckpointError } from "../../core/errors.ts";
import type { ModelConfig } from "../family.ts";

/** What a file says of a model in one entry of its metadata. Members are methods so that a list can hold any settings. */
export interface GgufKey<Settings = unknown> {
  /** Without the architecture before it. */
  readonly gguf: string;
  readonly type: "uint32" | "float32" | "bool";
  /** What the file says of a model; null where it says nothing. */
  of(settings: Settings): number | boolean | null;
  /** What config.json says where the file says this. */
  toConfig(value: number | boolean, config: ModelConfig): ModelConfig;
  /** What stands for a value that the file lacks, null for nothing at all; without, a file must have it. */
  otherwise?(config: ModelConfig): number | boolean | null;
}

type Of<Settings> = (settings: Settings) => number | boolean | null;
type Otherwise = (config: ModelConfig) => number | boolean | null;

/** A key that says the same as one of config.json, or nothing where `config` is null. */
export function sameKey<Settings>(
  type: GgufKey["type"],
  gguf: string,
  of: Of<Settings>,
  config: string | null,
  otherwise?: Otherwise,
): GgufKey<Settings> {
  return {
    gguf,
    type,
    of,
    toConfig: (value) => (config === null ? {} : { [config]: value }),
    ...(otherwise && { otherwise }),
  };
}

/** Entries for a model's settings, without the architecture before their names. */
export function keyMetadata<Settings>(keys: readonly GgufKey<Settings>[], settings: Settings): [string, GgufValue][] {
  return keys.flatMap((key): [string, GgufValue][] => {
    const value = key.of(settings);
    if (value === null) return [];
    const { type } = key;
    return [[key.gguf, type === "bool" ? { type, value: value === true } : { type, value: Number(value) }]];
  });
}

/**
 * The keys of a config.json that entries of metadata say.
 *
 * @param read - An entry without the architecture before its name, which is `where` in messages.
 * @throws {CheckpointError} naming an entry that is missing, or that contradicts another.
 */
export function keysConfig(
  keys: readonly GgufKey[],
  read: (key: string) => GgufValue | undefined,
  where: string,
): ModelConfig {
  const config: ModelConfig = {};
  for (const key of keys) {
    const value = stated(key, read(key.gguf)) ?? key.otherwise?.(config);
    const entry = `${where}.${key.gguf}`;
    if (value === undefined)
      throw new CheckpointError(`${entry} is missing or no ${nounOf(key)}; the file is incomplete`);
    if (value === null) continue;
    for (const [name, told] of Object.entries(key.toConfig(value, config))) {
      if (config[name] !== undefined && config[name] !== told) {
        throw new CheckpointError(`${entry} is ${told}, ${config[name]} is expected; such a model cannot be read`);
      }
      config[name] = told;
    }
  }
  return config;
}

/** The number of a metadata value of any type, or null. */
export function numberOf(value: GgufValue | undefined): number | null {
  return value === undefined || value.type === "array" || value.type === "string" || value.type === "bool"
    ? null
    : Number(value.value);
}

/** 1e-5 rather than 0.000009999999747378752, which is the same number in float32. */
export function rounded(value: number): number {
  return Number(value.toPrecision(7));
}

function stated({ type }: GgufKey, value: GgufValue | undefined): number | boolean | null {
  if (type === "bool") return value?.type === "bool" ? value.value : null;
  const number = numberOf(value);
  return number !== null && type === "float32" ? rounded(number) : number;
}

function nounOf({ type }: GgufKey): string {
  return type === "bool" ? "flag" : "number";
}
