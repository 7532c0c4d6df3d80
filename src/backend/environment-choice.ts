/**
 * What a variable of the environment asks for, or undefined where it is not set, or empty, or there is no environment as
 * in a browser.
 */
export function environmentChoice(variable: "STEMMA_BACKEND" | "STEMMA_ISA" | "STEMMA_MEMORY"): string | undefined {
  const { process } = globalThis as {
    readonly process?: { readonly env?: Readonly<Record<string, string | undefined>> };
  };
  return process?.env?.[variable] || undefined;
}
