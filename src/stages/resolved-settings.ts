import type { Parameter } from "../nn/parameters.ts";

/**
 * What a run's record says beside the settings it was given: all of them as they came to be, with what data, model and
 * machine decided, the model's `config.json`, and what computes.
 */
export function resolvedSettings(
  settings: { readonly threads: number },
  parameters: ReadonlyMap<string, Parameter>,
  modelConfig: unknown,
): Record<string, unknown> {
  const [first] = parameters.values();
  const backend = first?.backend;
  const { threads = 1, instructionSet } = backend ?? {};
  return { ...settings, threads, backend: backend?.name, instructionSet, modelConfig };
}
