import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { openSafetensors } from "../../src/checkpoint/safetensors-file.ts";
import type { TensorSource } from "../../src/checkpoint/tensor-source.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import type { Tolerance } from "../closeness.ts";
import { expectClose } from "../closeness.ts";
import { exact, leaf, read } from "../exact.ts";

/** What recorded numbers keep of PyTorch's: they are stored as float32. */
const recorded: Tolerance = { absolute: 1e-6, relative: 1e-6 };

/** One recorded call of a loss: its inputs, settings, outputs and the gradients of its loss. */
export class LossCase {
  readonly name: string;
  readonly #settings: Readonly<Record<string, number | string>>;
  readonly #source: TensorSource;
  readonly #rows: Int32Array | null;
  readonly #leaves = new Map<string, Tensor>();

  constructor(
    name: string,
    settings: Readonly<Record<string, number | string>>,
    source: TensorSource,
    rows: Int32Array | null,
  ) {
    this.name = name;
    this.#settings = settings;
    this.#source = source;
    this.#rows = rows;
  }

  setting<Value extends number | string>(name: string): Value {
    return this.#settings[name] as Value;
  }

  /** A recorded input or output without its padding, as our losses see it: `[tokens]`, or `[tokens, …]`. */
  async values(name: string): Promise<Float32Array> {
    const all = await this.#source.read(`${this.name}.${name}`);
    const rows = this.#rows;
    if (!rows || all.length < rows.length) return all;
    const width = all.length / rows.length;
    return all.filter((_, i) => rows[Math.floor(i / width)]);
  }

  async integers(name: string): Promise<Int32Array> {
    return this.#source.readIntegers(`${this.name}.${name}`);
  }

  shape(name: string): readonly number[] {
    return this.#source.info(`${this.name}.${name}`).shape;
  }

  /** An input as a leaf whose gradient `expectGradients` compares. */
  async leaf(name: string): Promise<Tensor> {
    const values = await this.values(`input.${name}`);
    const tensor = leaf(Tensor.from(exact, values, [values.length]));
    this.#leaves.set(name, tensor);
    return tensor;
  }

  async constant(name: string): Promise<Tensor> {
    const values = await this.values(`input.${name}`);
    return Tensor.from(exact, values, [values.length]);
  }

  async expectOutput(name: string, actual: Tensor | ArrayLike<number>): Promise<void> {
    const values = actual instanceof Tensor ? await read(actual) : actual;
    expectClose(values, await this.values(`output.${name}`), recorded);
  }

  async expectGradients(): Promise<void> {
    for (const [name, tensor] of this.#leaves) {
      expectClose(await read(tensor.grad), await this.values(`gradient.${name}`), recorded);
    }
  }
}

/** Every case of a fixture that is a call of `function_`. */
export async function lossCases(fixture: string, function_: string): Promise<LossCase[]> {
  const folder = join(import.meta.dirname, "fixtures", fixture);
  const cases = JSON.parse(await readFile(join(folder, "cases.json"), "utf8")) as Record<string, CaseJson>;
  const source = await openSafetensors(join(folder, "recorded.safetensors"));
  const chosen = Object.entries(cases).filter(([, one]) => one.function === function_);
  return Promise.all(
    chosen.map(async ([name, { settings, inputs }]) => {
      const mask = inputs.includes("mask") ? await source.read(`${name}.input.mask`) : null;
      return new LossCase(name, settings, source, mask && Int32Array.from(mask));
    }),
  );
}

interface CaseJson {
  readonly function: string;
  readonly inputs: readonly string[];
  readonly settings: Record<string, number | string>;
}
