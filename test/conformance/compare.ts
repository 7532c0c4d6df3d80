import { expect } from "vitest";
import type { Backend, MatmulPrecision } from "../../src/backend/kernels.ts";
import type { InstructionSet } from "../../src/backend/native/index.ts";
import { openNative } from "../../src/backend/native/index.ts";
import { openReference } from "../../src/backend/reference/index.ts";
import type { Tolerance } from "../closeness.ts";
import { firstDifference, nearly } from "../closeness.ts";
import type { Case } from "./workspace.ts";
import { Workspace } from "./workspace.ts";

/** What the reference gives, computed once for all instruction sets. A case has one precision. */
const expectations = new Map<Case, Contents>();

/** The native backend, on a processor that has the instruction set. */
export function native(instructionSet?: InstructionSet, threads = 2, matmulPrecision?: MatmulPrecision): Backend {
  const { backend } = openNative({ threads, instructionSet, matmulPrecision });
  if (!backend) throw new Error("the native backend is not built");
  return backend;
}

/** Fails unless a case gives what the reference gives, and the same bits on one thread as on two and on three. */
export async function expectConforms(instructionSet: InstructionSet, one: Case): Promise<void> {
  const { run, tolerance = nearly, matmulPrecision } = one;
  const expected = expectations.get(one) ?? (await outcome(openReference({ matmulPrecision }), run));
  expectations.set(one, expected);
  const [single, ...others] = await Promise.all(
    [1, 2, 3].map((threads) => outcome(native(instructionSet, threads, matmulPrecision), run)),
  );
  expect(differences(single!, expected, tolerance)).toEqual([]);
  for (const other of others) expect(differentBits(single!, other)).toEqual([]);
}

type Contents = readonly (Float32Array | Int32Array)[];

async function outcome(backend: Backend, run: Case["run"]): Promise<Contents> {
  const memory = new Workspace(backend);
  try {
    run(backend.all, memory);
    return await memory.contents();
  } finally {
    memory.release();
  }
}

/** One line for each operand that is not as expected. */
function differences(actual: Contents, expected: Contents, tolerance: Tolerance): string[] {
  return expected.flatMap((values, i) => {
    const difference = firstDifference(actual[i]!, values, tolerance);
    return difference === null ? [] : [`operand ${i}: ${difference}`];
  });
}

/** Numbers of the operands that do not have the same bits. */
function differentBits(actual: Contents, expected: Contents): number[] {
  const bytes = (values: Float32Array | Int32Array): Buffer =>
    Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  return expected.flatMap((values, i) => (bytes(values).equals(bytes(actual[i]!)) ? [] : [i]));
}
