import type { Backend } from "../../src/backend/kernels.ts";
import { openNative } from "../../src/backend/native/index.ts";
import { openReference } from "../../src/backend/reference/index.ts";

const { backend: native } = openNative();

/** Where every recorded model is computed again; natively wherever the addon can be built. */
export const backends: readonly (readonly [string, Backend])[] = [
  ["fused kernels", openReference()],
  ["composed ops", openReference({ fused: false })],
  ...(native ? [["native kernels", native] as const, ["composed native ops", { ...native, fused: {} }] as const] : []),
];
