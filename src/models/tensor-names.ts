import type { Placement, Rename } from "../checkpoint/assign-tensors.ts";
import { isAllZero, sameValues } from "../checkpoint/compare-tensors.ts";
import type { TensorSource } from "../checkpoint/tensor-source.ts";
import { CheckpointError } from "../core/errors.ts";
import { sameShape } from "../core/shape.ts";
import type { AnyFamily } from "./family.ts";

/** What a family says of the names in files. */
type NamesOfFamily = Pick<AnyFamily, "optionalPrefix" | "ignoredTensors" | "spellings" | "ownHead">;

/** What a file calls its tensors. */
type NamedTensors = Pick<TensorSource, "names" | "has">;

/**
 * How names in anyone's file become those of `expected`: with or without the family's prefix, in other spellings, and
 * without buffers. A lone output layer is the embedding of a model in which the two are one.
 */
export function renaming(family: NamesOfFamily, expected: readonly Placement[], source: NamedTensors): Rename {
  const { optionalPrefix, ignoredTensors, spellings = [], ownHead } = family;
  const names = new Set(expected.map(({ name }) => name));
  const isLone = ownHead && !names.has(ownHead.head) && placeOf(ownHead.embedding, family, source) === undefined;
  const spelled = (inFile: string): string => {
    if (isLone && inFile === ownHead.head) return ownHead.embedding;
    return spellings.reduce((text, [from, to]) => text.replace(from, to), inFile);
  };
  const ours = (inFile: string): string => {
    const shorter = inFile.startsWith(optionalPrefix) ? inFile.slice(optionalPrefix.length) : inFile;
    return [inFile, optionalPrefix + inFile, shorter].find((candidate) => names.has(candidate)) ?? inFile;
  };
  const respelled = new Set(
    source
      .names()
      .filter((inFile) => spelled(inFile) !== inFile)
      .map((inFile) => ours(spelled(inFile))),
  );
  return (inFile) => {
    const name = ours(spelled(inFile));
    if (names.has(name)) return respelled.has(name) && spelled(inFile) === inFile ? null : name;
    return ignoredTensors.test(inFile) ? null : inFile;
  };
}

/** Names of tensors that a file does not hold, of those that a model of the family can be opened without. */
export function lackingParts(family: AnyFamily, expected: readonly Placement[], source: TensorSource): string[] {
  const { optionalParts } = family;
  if (!optionalParts) return [];
  const found = new Set(source.names().map(renaming(family, expected, source)));
  return expected.map(({ name }) => name).filter((name) => optionalParts.test(name) && !found.has(name));
}

/**
 * Whether a file holds an output layer that is not its embedding. One of zeros, by which every token is as likely as
 * any other, is a place that was never filled.
 *
 * @throws {CheckpointError} when one of the two cannot be read.
 */
export async function holdsOwnHead(family: AnyFamily, source: TensorSource): Promise<boolean> {
  const { ownHead } = family;
  if (!ownHead) return false;
  const embedding = placeOf(ownHead.embedding, family, source);
  const head = placeOf(ownHead.head, family, source);
  if (embedding === undefined || head === undefined) return false;
  if (!sameShape(source.info(embedding).shape, source.info(head).shape)) return true;
  return !(await sameValues(source, head, embedding)) && !(await isAllZero(source, head));
}

/**
 * Makes sure that tensors which a family has once are the same wherever a file has them.
 *
 * @throws {CheckpointError} naming two that are not, or when one cannot be read.
 */
export async function refuseOtherCopies(family: AnyFamily, source: TensorSource): Promise<void> {
  const { copies } = family;
  const original = copies && placeOf(copies.of, family, source);
  if (original === undefined) return;
  for (const name of source.names().filter((inFile) => copies?.names.test(inFile))) {
    if (await sameValues(source, original, name)) continue;
    throw new CheckpointError(
      `tensor ${name}: is another matrix than ${original}; a ${family.modelType} with several embeddings is not supported, choose another model`,
    );
  }
}

/** What a file calls a tensor, with the family's prefix or without; undefined where it has none. */
function placeOf(name: string, { optionalPrefix }: NamesOfFamily, source: NamedTensors): string | undefined {
  return [name, name.replace(optionalPrefix, "")].find((candidate) => source.has(candidate));
}
