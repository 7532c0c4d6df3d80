import type { FusedKernels } from "../fused-kernels.ts";
import type { Backend, BackendOptions, Kernels, MatmulPrecision } from "../kernels.ts";
import type { Dtype, Storage } from "../storage.ts";
import { isWeightFormat, refuseOtherArray, storedBytes } from "../weight-formats.ts";
import { attentionsIn } from "./attention.ts";
import { convolutionsIn } from "./convolution.ts";
import { losses } from "./cross-entropy.ts";
import { draws } from "./draws.ts";
import { elementwise } from "./elementwise.ts";
import { gatedUnits } from "./gated-unit.ts";
import { groupNorms } from "./group-norm.ts";
import { groupedLinears, groupSorting } from "./groups.ts";
import { indexing } from "./indexing.ts";
import { lstmCells } from "./lstm.ts";
import { matmulIn } from "./matmul.ts";
import { norms } from "./norm.ts";
import { optimizers } from "./optimizer.ts";
import { raggedAttentionBy } from "./ragged-attention.ts";
import { reductions } from "./reduce.ts";
import { rotaries } from "./rotary.ts";
import { softmaxes } from "./softmax.ts";
import type { Precision } from "./storage.ts";
import { contentsOf, ReferenceStorage, valuesOf, weightsOf } from "./storage.ts";
import { chooseTokens } from "./token-choice.ts";

/** What the reference can be asked for. */
export interface ReferenceOptions extends Pick<BackendOptions, "matmulPrecision"> {
  /** `float64` keeps everything but integers in float64, for checking gradients against finite differences. */
  readonly precision?: Precision | undefined;
  /** Without fused kernels every op runs its `compose`. */
  readonly fused?: boolean | undefined;
}

/**
 * The backend in plain TypeScript: it runs wherever JavaScript does, and says what every other backend must compute.
 * Kernels calculate in float64 and round once, when they store a result.
 */
export function openReference(options: ReferenceOptions = {}): Backend {
  const { precision = "float32", matmulPrecision = "float32" } = options;
  const kernels = referenceKernels(matmulPrecision);
  const fused = options.fused === false ? {} : fusedKernels(matmulPrecision, kernels);
  return {
    name: "reference",
    kernels,
    fused,
    // Without fused kernels a call of one is a defect of the caller, and fails as a missing function.
    all: { ...kernels, ...fused } as Kernels & FusedKernels,
    allocate: (dtype: Dtype, length: number) => new ReferenceStorage(dtype, length, precision),
    release: (storage: Storage) => (storage as ReferenceStorage).release(),
    chooseTokens: async (logits, choices) => chooseTokens(logits, choices),
    finalizer: () => () => {
      // The typed array is collected together with the storage that holds it.
    },
    write(storage, offset, values) {
      refuseOtherArray(storage.dtype, values);
      contentsOf(storage).set(values, isWeightFormat(storage.dtype) ? storedBytes(storage.dtype, offset) : offset);
    },
    async read(storage, offset, length) {
      if (isWeightFormat(storage.dtype)) return weightsOf(storage, offset, length);
      return valuesOf(storage).slice(offset, offset + length);
    },
  };
}

function referenceKernels(matmulPrecision: MatmulPrecision): Kernels {
  return {
    ...elementwise,
    ...reductions,
    matmul: matmulIn(matmulPrecision),
    ...softmaxes,
    ...indexing,
    ...groupSorting,
    ...draws,
    ...optimizers,
  };
}

function fusedKernels(matmulPrecision: MatmulPrecision, kernels: Kernels): Partial<FusedKernels> {
  return {
    ...norms,
    ...groupNorms,
    ...convolutionsIn(matmulPrecision),
    ...attentionsIn(matmulPrecision),
    ...raggedAttentionBy(attentionsIn("float32").attention),
    ...losses,
    ...rotaries,
    ...gatedUnits,
    ...lstmCells,
    ...groupedLinears(kernels),
  };
}
