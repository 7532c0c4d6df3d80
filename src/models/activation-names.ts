import { z } from "zod";
import type { Activation } from "../backend/functions.ts";

/** Activations by the names that config.json has for them; of several names for one, the first is written. */
const activations = {
  gelu: "gelu",
  gelu_new: "geluTanh",
  gelu_fast: "geluTanh",
  gelu_pytorch_tanh: "geluTanh",
  quick_gelu: "quickGelu",
  relu: "relu",
  silu: "silu",
  swish: "silu",
  tanh: "tanh",
} as const satisfies Record<string, Activation>;

/** Every activation, as settings of models name it. */
export const ActivationKind = z.enum(["gelu", "geluTanh", "quickGelu", "relu", "silu", "tanh"] satisfies Activation[]);

/** A key of config.json that names an activation. */
export const ActivationName = z.enum(Object.keys(activations) as [keyof typeof activations]);
export type ActivationName = z.infer<typeof ActivationName>;

/** The activation of a name. */
export function activationNamed(name: ActivationName): Activation {
  return activations[name];
}

/** The name of an activation. */
export function nameOfActivation(activation: Activation): ActivationName {
  const name = ActivationName.options.find((candidate) => activations[candidate] === activation);
  if (!name) throw new Error(`internal: ${activation} has no name in config.json`);
  return name;
}
