/**
 * Functions of one number. `gelu` is exact (erf); `geluTanh` is its tanh approximation, as in GPT-1 and GPT-2; `quickGelu` is
 * x · σ(1.702x), as in CLIP.
 */
export type UnaryKind =
  | "abs"
  | "cos"
  | "exp"
  | "gelu"
  | "geluTanh"
  | "log"
  | "logSigmoid"
  | "quickGelu"
  | "relu"
  | "rsqrt"
  | "sigmoid"
  | "silu"
  | "sin"
  | "sqrt"
  | "square"
  | "tanh";

/** Functions of two numbers. Comparisons give 1 where they hold, else 0. */
export type BinaryKind = "add" | "sub" | "mul" | "div" | "maximum" | "minimum" | "greater" | "greaterEqual" | "equal";

/** Activations a matrix product can apply as it writes its result. */
export type Activation = "gelu" | "geluTanh" | "quickGelu" | "relu" | "silu" | "tanh";
