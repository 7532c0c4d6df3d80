import { DataError, StemmaError, UnsupportedError } from "../../core/errors.ts";
import { availableThreads } from "../available-threads.ts";
import { environmentChoice } from "../environment-choice.ts";
import type { FusedKernels } from "../fused-kernels.ts";
import type { Backend, BackendOptions, Kernels } from "../kernels.ts";
import { memoryLeft } from "../memory-left.ts";
import type { InstructionSet, NativeFunctions } from "./addon.ts";
import { loadAddon } from "./addon.ts";
import { attentionKernels } from "./attention.ts";
import { convolutionKernels } from "./convolution.ts";
import { elementwiseKernels, gatedUnitKernels } from "./elementwise.ts";
import { groupedLinearKernels, groupKernels } from "./groups.ts";
import { lstmKernels } from "./lstm.ts";
import type { NativeMachine } from "./machine.ts";
import { nativeMachine } from "./machine.ts";
import { matmulKernels } from "./matmul.ts";
import { memoryFunctions } from "./memory.ts";
import { Recorder } from "./recorder.ts";
import { fusedRowKernels, rowKernels } from "./rows.ts";
import { tokenChooser } from "./token-choice.ts";

export type { InstructionSet } from "./addon.ts";
export type { NativeMachine, NativeMemory } from "./machine.ts";

/** The C++ backend, with what it found out about the machine. */
export interface NativeBackend extends Backend {
  readonly machine: NativeMachine;
}

/** What a caller may choose when opening the native backend. */
export interface NativeOptions extends BackendOptions {
  /** Default: what STEMMA_ISA says, else the best that the processor has. Others are for tests and comparisons. */
  readonly instructionSet?: InstructionSet | undefined;
}

/** A backend, or in one sentence why there is none and what to do. */
export type Opened = { readonly backend: NativeBackend } | { readonly backend: null; readonly reason: string };

/**
 * Opens the native backend. Backends of different options share one pool of memory and threads, so tensors of one may
 * be given to another.
 *
 * @throws {UnsupportedError} when the processor lacks the instruction set that was asked for.
 */
export function openNative(options: NativeOptions = {}): Opened {
  const addon = loadAddon();
  if ("reason" in addon) return { backend: null, reason: addon.reason };
  const chosen = environmentChoice("STEMMA_ISA");
  const instructionSet = options.instructionSet ?? chosen ?? "";
  const native = addon.open(options.threads ?? availableThreads(), instructionSet, StemmaError, DataError);
  if (!native) {
    const where = instructionSet === chosen ? "STEMMA_ISA" : "native backend";
    throw new UnsupportedError(
      `${where}: this processor cannot run ${instructionSet}; it can run ${addon.instructionSets().join(", ")}`,
    );
  }
  return { backend: assemble(native, options) };
}

/** Instruction sets this processor can run, best first; empty when the addon is not built. */
export function nativeInstructionSets(): readonly InstructionSet[] {
  const addon = loadAddon();
  return "reason" in addon ? [] : addon.instructionSets();
}

function assemble(plain: NativeFunctions, { matmulPrecision = "float32" }: NativeOptions): NativeBackend {
  const recorder = new Recorder(plain);
  const { native } = recorder;
  // One family of kernels is one file here, one in native/binding and one or more in native/kernels.
  const kernels: Kernels = {
    ...elementwiseKernels(native),
    ...rowKernels(native),
    ...matmulKernels(native, matmulPrecision),
    ...groupKernels(native),
  };
  const fused: FusedKernels = {
    ...fusedRowKernels(native),
    ...gatedUnitKernels(native),
    ...lstmKernels(native),
    ...convolutionKernels(native, matmulPrecision),
    ...attentionKernels(native, matmulPrecision),
    ...groupedLinearKernels(native, kernels, matmulPrecision),
  };
  const machine = nativeMachine(native);
  return {
    name: "native",
    machine,
    threads: machine.threads,
    instructionSet: machine.instructionSet,
    peak: () => machine.peak(matmulPrecision, machine.threads),
    memoryLeft: () => memoryLeft() + machine.memory().pooled,
    kernels,
    fused,
    all: { ...kernels, ...fused },
    ...memoryFunctions(recorder),
    chooseTokens: tokenChooser(native),
  };
}
