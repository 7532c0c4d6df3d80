import { formatBytes } from "../core/byte-size.ts";
import { ApiError } from "./api-error.ts";
import type { ModelSource } from "./model-source.ts";
import { findModel } from "./model-source.ts";
import type { ModelHost } from "./served-model.ts";
import { ServedModel } from "./served-model.ts";

/** Every model of a server, in the order of its command line. */
export class ModelTable {
  readonly #models = new Map<string, ServedModel>();
  /** Bytes that open models may take together. */
  readonly memory: number;
  readonly #host: ModelHost;

  private constructor(memory: number, host: Omit<ModelHost, "makeRoom">) {
    this.memory = memory;
    this.#host = { ...host, makeRoom: (model, bytes) => this.#makeRoom(model, bytes) };
  }

  /**
   * Looks at all sources; opens none.
   *
   * @param memory - Bytes that open models may take together.
   * @throws {CheckpointError} when one is no model, or one that a server is not asked.
   */
  static async from(
    sources: readonly ModelSource[],
    memory: number,
    host: Omit<ModelHost, "makeRoom">,
  ): Promise<ModelTable> {
    const table = new ModelTable(memory, host);
    for (const source of sources) await table.add(source);
    return table;
  }

  /**
   * Takes one more, unless one is called so.
   *
   * @throws {CheckpointError} when it is no model, or one that a server is not asked.
   */
  async add(source: ModelSource): Promise<void> {
    const found = await findModel(source);
    if (!this.#models.has(source.name)) this.#models.set(source.name, new ServedModel(source, found, this.#host));
  }

  all(): readonly ServedModel[] {
    return [...this.#models.values()];
  }

  /**
   * A model by its name; the first of all where a request names none.
   *
   * @throws {ApiError} 404 naming those that there are.
   */
  get(name: string | null | undefined): ServedModel {
    const [first] = this.all();
    const model = name ? this.#models.get(name) : first;
    if (model) return model;
    const names = [...this.#models.keys()];
    const shown = JSON.stringify((name ?? "").slice(0, 100));
    throw new ApiError(404, `model ${shown} is not here; this server has ${names.join(", ")}`, {
      param: "model",
      code: "model_not_found",
    });
  }

  /** Ends all engines. */
  close(): void {
    for (const model of this.all()) model.close();
  }

  /** @throws {ApiError} 503 when models that are in use take the memory. */
  #makeRoom(wanted: ServedModel, bytes: number): void {
    const others = this.all().filter((model) => model !== wanted && model.isOpen);
    let free = this.memory - others.reduce((sum, model) => sum + model.bytes, 0);
    for (const idle of others.toSorted((a, b) => a.lastUsed - b.lastUsed)) {
      if (free >= bytes) return;
      if (idle.users > 0) continue;
      free += idle.bytes;
      idle.close();
    }
    if (free >= bytes || others.every((model) => !model.isOpen)) return; // alone it may try
    const message =
      `model ${wanted.name} needs ${formatBytes(bytes)}, models in use leave ${formatBytes(Math.max(free, 0))} of ` +
      `${formatBytes(this.memory)}; try again later, or start the server with more --memory`;
    throw new ApiError(503, message, { code: "loading", retryAfter: 5 });
  }
}
