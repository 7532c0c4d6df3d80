import { SettingsError, UnsupportedError } from "../core/errors.ts";
import type { Backend, BackendOptions } from "./kernels.ts";

/** A backend, or in one sentence why this machine has none and what to do. */
export type Opened = { readonly backend: Backend } | { readonly backend: null; readonly reason: string };

/** How to open each backend. */
export const backends = {
  native: async (options: BackendOptions): Promise<Opened> => (await import("./native/index.ts")).openNative(options),
  reference: async (options: BackendOptions): Promise<Opened> => ({
    backend: (await import("./reference/index.ts")).openReference(options),
  }),
} satisfies Record<string, (options: BackendOptions) => Promise<Opened>>;

/** Names of the table {@link backends}. */
export type BackendName = keyof typeof backends;

/** What {@link openBackend} may be asked for. */
export interface OpenOptions extends BackendOptions {
  /** Without a name: native where it is built, else the reference. */
  readonly name?: BackendName | undefined;
  /** Told in one line when the reference has to stand in for the native backend, why, and what to do about it. */
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
  if (name !== undefined && !Object.hasOwn(backends, name)) {
    throw new SettingsError(`backend: there is none called ${name}; choose one of ${Object.keys(backends).join(", ")}`);
  }
  const opened = await backends[name ?? "native"](options);
  if (opened.backend) return opened.backend;
  if (name) throw new UnsupportedError(`backend ${name}: ${opened.reason}`);
  onFallback?.(`computing with the reference backend, which is right but very much slower: ${opened.reason}`);
  return openBackend({ name: "reference", ...options });
}
