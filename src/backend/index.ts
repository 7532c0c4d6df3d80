import { SettingsError, UnsupportedError } from "../core/errors.ts";
import { environmentChoice } from "./environment-choice.ts";
import type { Backend, BackendOptions } from "./kernels.ts";

/** A backend, or in one sentence why this machine has none and what to do. */
export type Opened = { readonly backend: Backend } | { readonly backend: null; readonly reason: string };

/** How to open each backend. */
export const backends = {
  native: async (options: BackendOptions): Promise<Opened> => (await import("./native/index.ts")).openNative(options),
  async reference(options: BackendOptions): Promise<Opened> {
    const [{ openReference }, { memoryLeft }] = await Promise.all([
      import("./reference/index.ts"),
      import("./memory-left.ts"),
    ]);
    return { backend: { ...openReference(options), memoryLeft: () => memoryLeft() } };
  },
} satisfies Record<string, (options: BackendOptions) => Promise<Opened>>;

/** Names of the table {@link backends}. */
export type BackendName = keyof typeof backends;

/** What {@link openBackend} may be asked for. */
export interface OpenOptions extends BackendOptions {
  /** Without a name: what the environment's STEMMA_BACKEND says; without that, native where it is built, else the reference. */
  readonly name?: BackendName | undefined;
  /**
   * Told in one line when the reference stands in for the native backend, why, and what to do about it. Without it nothing
   * is said, and everything is computed tens of times slower: `onFallback: console.warn` is a good choice, and
   * `name: "native"` makes an error of it.
   */
  readonly onFallback?: ((message: string) => void) | undefined;
}

/**
 * Opens the place where tensors live and are computed.
 *
 * @throws {SettingsError} when there is no backend of that name, or the number of threads is not a positive integer.
 * @throws {UnsupportedError} when the backend asked for by name cannot run here.
 */
export async function openBackend({ name, onFallback, ...options }: OpenOptions = {}): Promise<Backend> {
  const { threads } = options;
  if (threads !== undefined && !(Number.isInteger(threads) && threads > 0)) {
    throw new SettingsError(`threads: must be a positive integer, got ${threads}`);
  }
  const asked = name ?? environmentChoice("STEMMA_BACKEND");
  if (asked !== undefined && !isBackendName(asked)) {
    const where = name === undefined ? "STEMMA_BACKEND" : "backend";
    throw new SettingsError(
      `${where}: there is none called ${asked}; choose one of ${Object.keys(backends).join(", ")}`,
    );
  }
  const opened = await backends[asked ?? "native"](options);
  const slow = "computing with the reference backend, which is right but very much slower";
  if (opened.backend) {
    if (name === undefined && asked === "reference") onFallback?.(`${slow}: STEMMA_BACKEND asks for it`);
    return opened.backend;
  }
  if (asked) throw new UnsupportedError(`backend ${asked}: ${opened.reason}`);
  onFallback?.(`${slow}: ${opened.reason}`);
  return openBackend({ name: "reference", ...options });
}

function isBackendName(name: string): name is BackendName {
  return Object.hasOwn(backends, name);
}
