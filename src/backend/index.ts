import { SettingsError, UnsupportedError } from "../core/errors.ts";
import type { Backend, BackendOptions } from "./kernels.ts";

/** How to open each backend. One that the machine cannot run throws {@link UnsupportedError}, saying why. */
export const backends = {
  native: async (options: BackendOptions): Promise<Backend> => (await loadNative()).openNative(options),
  reference: async (options: BackendOptions): Promise<Backend> =>
    (await import("./reference/index.ts")).openReference(options),
} satisfies Record<string, (options: BackendOptions) => Promise<Backend>>;

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
 * @throws {SettingsError} when there is no backend of that name.
 * @throws {UnsupportedError} when the backend asked for by name cannot run here.
 */
export async function openBackend({ name, onFallback, ...options }: OpenOptions = {}): Promise<Backend> {
  if (name !== undefined) {
    if (!Object.hasOwn(backends, name)) {
      throw new SettingsError(
        `backend: there is none called ${name}; choose one of ${Object.keys(backends).join(", ")}`,
      );
    }
    return backends[name](options);
  }
  try {
    return await backends.native(options);
  } catch (error) {
    if (!(error instanceof UnsupportedError)) throw error;
    onFallback?.(`${error.message} (using the reference backend meanwhile: correct, but very much slower)`);
    return backends.reference(options);
  }
}

interface NativeModule {
  openNative(options: BackendOptions): Backend | Promise<Backend>;
}

/** The native module. Its own failure to load (a file that is not there) is no reason to stop. */
async function loadNative(): Promise<NativeModule> {
  const path: string = "./native/index.ts";
  try {
    return await import(path);
  } catch (cause) {
    throw new UnsupportedError("native backend: its module cannot be loaded; run npm run build", { cause });
  }
}
