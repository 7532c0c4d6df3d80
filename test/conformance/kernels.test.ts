import { describe, expect, test } from "vitest";
import type { FusedKernels } from "../../src/backend/fused-kernels.ts";
import type { Kernels } from "../../src/backend/kernels.ts";
import { nativeInstructionSets } from "../../src/backend/native/index.ts";
import { attentionCases } from "./cases/attention.ts";
import { convolutionCases } from "./cases/convolution.ts";
import { elementwiseCases } from "./cases/elementwise.ts";
import { groupCases } from "./cases/groups.ts";
import { lstmCases } from "./cases/lstm.ts";
import { movementCases } from "./cases/movement.ts";
import { normCases } from "./cases/norms.ts";
import { otherCases } from "./cases/other.ts";
import { raggedAttentionCases } from "./cases/ragged-attention.ts";
import { rowCases } from "./cases/rows.ts";
import { expectConforms } from "./compare.ts";
import type { CasesOf } from "./workspace.ts";

/** A kernel that is missing here does not compile; the matrix product has a file of its own. */
const cases: CasesOf<Exclude<keyof (Kernels & FusedKernels), "matmul">> = {
  ...elementwiseCases,
  ...rowCases,
  ...movementCases,
  ...normCases,
  ...otherCases,
  ...lstmCases,
  ...groupCases,
  ...convolutionCases,
  ...attentionCases,
  ...raggedAttentionCases,
};

test("the portable variant is always there", () => {
  expect(nativeInstructionSets()).toContain("portable");
});

describe.each(nativeInstructionSets())("%s", (instructionSet) => {
  describe.each(Object.entries(cases))("%s", (_, ofKernel) => {
    test.each(ofKernel)("$name", (one) => expectConforms(instructionSet, one));
  });
});
