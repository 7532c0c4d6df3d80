import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { openSafetensors } from "../../src/checkpoint/safetensors-file.ts";
import type { TensorSource } from "../../src/checkpoint/tensor-source.ts";
import type { TensorBinding } from "../../src/models/family.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

/** Largest difference from PyTorch's number, absolute or relative to it, whichever allows more. */
const tolerance = 1e-4;

/** Optimizer settings of a recorded run, as the recording script writes them. */
export interface RecordedRun {
  readonly learning_rate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weight_decay: number;
  readonly max_gradient_norm: number;
}

/** What PyTorch computed for one tiny model; `record/README.md` says what each tensor is. */
export class Fixture {
  /** The model, in the layout of a Hugging Face folder. */
  readonly folder: string;
  readonly steps: number;
  readonly runs: ReadonlyMap<string, RecordedRun>;
  /** Rows `[from, to)` of parameters whose gradient is zero but for rounding, so that training them gives noise. */
  readonly #zeroGradients: ReadonlyMap<string, readonly [number, number]>;
  readonly #tensors: TensorSource;

  private constructor(folder: string, recording: Recording, tensors: TensorSource) {
    this.folder = folder;
    this.steps = recording.steps;
    this.runs = new Map(Object.entries(recording.runs));
    this.#zeroGradients = new Map(Object.entries(recording.zero_gradients));
    this.#tensors = tensors;
  }

  static async open(name: string): Promise<Fixture> {
    const folder = join(import.meta.dirname, "fixtures", name);
    const recording = JSON.parse(await readFile(join(folder, "recording.json"), "utf8")) as Recording;
    return new Fixture(folder, recording, await openSafetensors(join(folder, "recorded.safetensors")));
  }

  async close(): Promise<void> {
    await this.#tensors.close();
  }

  /** Recorded floats. */
  async floats(name: string): Promise<Float32Array> {
    return this.#tensors.read(name);
  }

  /** Ids of one step: one row of a recorded `[steps, …]`. */
  async ids(name: string, step: number): Promise<Int32Array> {
    const all = await this.#tensors.readIntegers(name);
    const each = all.length / this.steps;
    return all.slice(step * each, (step + 1) * each);
  }

  /** Lengths of a recorded tensor. */
  shape(name: string): readonly number[] {
    return this.#tensors.info(name).shape;
  }

  /** Recorded names that start with `prefix`, without it. */
  namesAfter(prefix: string): string[] {
    return this.#tensors.names().flatMap((name) => (name.startsWith(prefix) ? name.slice(prefix.length) : []));
  }

  /** Fails where `actual` is not what was recorded under `name`. */
  async expectClose(actual: ArrayLike<number>, name: string, skip: readonly [number, number] = [0, 0]): Promise<void> {
    const expected = await this.floats(name);
    expect(actual.length, name).toBe(expected.length);
    const rows = this.shape(name)[0] ?? 1;
    const [from, to] = skip.map((row) => (row * expected.length) / rows) as [number, number];
    const wrong = [...expected.keys()].find((i) => {
      const allowed = tolerance * Math.max(1, Math.abs(expected[i]!));
      return (i < from || i >= to) && !(Math.abs(actual[i]! - expected[i]!) <= allowed);
    });
    const where = wrong === undefined ? "" : `${name}[${wrong}] is ${actual[wrong]}, PyTorch has ${expected[wrong]}`;
    expect(where).toBe("");
  }

  /** Compares every tensor of a model with what was recorded for it, under `prefix` and its name in the file. */
  async expectAllClose(
    bindings: readonly TensorBinding[],
    prefix: string,
    part: (binding: TensorBinding) => Tensor | null,
  ): Promise<void> {
    const stripped = new Map(bindings.map((binding) => [binding.name.replace(/^transformer\./, ""), binding]));
    const recorded = this.namesAfter(prefix);
    expect(recorded.map((name) => name.replace(/^transformer\./, "")).sort()).toEqual([...stripped.keys()].sort());
    for (const name of recorded) {
      const binding = stripped.get(name.replace(/^transformer\./, ""))!;
      const tensor = part(binding);
      if (tensor === null) throw new Error(`${prefix}${name}: there is none`);
      const values = await (binding.transposed ? tensor.permute([1, 0]) : tensor).read();
      const isTrained = prefix.endsWith("weight.");
      await this.expectClose(values, prefix + name, isTrained ? this.#zeroGradients.get(name) : undefined);
    }
  }
}

interface Recording {
  readonly steps: number;
  readonly runs: Record<string, RecordedRun>;
  readonly zero_gradients: Record<string, [number, number]>;
}
