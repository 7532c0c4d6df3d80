import { expect, test } from "vitest";
import { openBackend } from "../backend/index.ts";
import { CheckpointError } from "../core/errors.ts";
import type { Shape } from "../core/shape.ts";
import { Tensor } from "../tensor/tensor.ts";
import { assignTensors, matchTensors, transpose, writableTensors } from "./assign-tensors.ts";
import { memorySource } from "./byte-source.ts";
import { readSafetensors, safetensorsChunks } from "./safetensors.ts";
import type { TensorSource, WritableTensor } from "./tensor-source.ts";

const backend = await openBackend({ name: "reference" });

async function fileOf(tensors: Iterable<WritableTensor>): Promise<TensorSource> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of safetensorsChunks("test", tensors)) chunks.push(chunk.slice());
  return readSafetensors(memorySource(Buffer.concat(chunks), "model.safetensors"));
}

const zeros = (name: string, shape: Shape): WritableTensor => ({
  name,
  shape,
  read: () => new Float32Array(shape.reduce((a, b) => a * b, 1)),
});

/** Weights of a model with so many layers. */
const layered = (layers: number): [string, Shape][] => [
  ["wte.weight", [5, 2]],
  ...Array.from({ length: layers }, (_, i): [string, Shape] => [`h.${i}.mlp.c_fc.weight`, [2, 8]]),
];

test("tensors go to a file and back, transposed where it holds them so", async () => {
  const weight = Tensor.from(backend, [1, 2, 3, 4, 5, 6], [2, 3]);
  const bias = Tensor.from(backend, [7, 8], [2]);
  const file = await fileOf(
    writableTensors([
      { name: "c.weight", tensor: weight, transposed: true },
      { name: "c.bias", tensor: bias },
    ]),
  );
  expect(file.info("c.weight").shape).toEqual([3, 2]);
  expect(await file.read("c.weight")).toEqual(Float32Array.from([1, 4, 2, 5, 3, 6]));

  const copies = [weight, bias].map(({ shape }) => Tensor.empty(backend, shape));
  const [weightCopy, biasCopy] = copies as [Tensor, Tensor];
  const placements = [
    { name: "model.c.weight", tensor: weightCopy, transposed: true },
    { name: "model.c.bias", tensor: biasCopy },
  ];
  await assignTensors(placements, file, (name) => `model.${name}`);
  expect(await weightCopy.read()).toEqual(await weight.read());
  expect(await biasCopy.read()).toEqual(await bias.read());
});

test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])("%s among the values", async (value) => {
  const matrix = (name: string): WritableTensor => ({
    name,
    shape: [3, 2],
    read: () => Float32Array.of(0, 1, 2, 3, value, 5),
  });
  const placements = [
    { name: "bias", tensor: Tensor.empty(backend, [2]) },
    { name: "c.weight", tensor: Tensor.empty(backend, [2, 3]), transposed: true },
  ];
  const file = await fileOf([zeros("bias", [2]), matrix("x.c.weight")]);
  await expect(assignTensors(placements, file, (name) => name.replace("x.", ""))).rejects.toThrow(
    `model.safetensors: x.c.weight holds ${value} at element 4, `,
  );
});

test("values whose sum is beyond any float are read", async () => {
  const large = Tensor.empty(backend, [2]);
  const file = await fileOf([{ name: "a", shape: [2], read: () => Float32Array.of(3e38, 3e38) }]);
  await assignTensors([{ name: "a", tensor: large }], file);
  expect(await large.read()).toEqual(Float32Array.of(3e38, 3e38));
});

test("nothing is changed when one tensor does not fit", async () => {
  const bias = Tensor.from(backend, [7, 8], [2]);
  const file = await fileOf([zeros("bias", [2])]);
  const weight = Tensor.from(backend, [1], [1]);
  const both = [
    { name: "bias", tensor: bias },
    { name: "weight", tensor: weight },
  ];
  await expect(assignTensors(both, file)).rejects.toThrow("weight [1] is missing");
  expect([...(await bias.read())]).toEqual([7, 8]);
});

test("a file with fewer layers", async () => {
  const file = await fileOf(layered(2).map(([name, shape]) => zeros(name, shape)));
  expect(() => matchTensors(new Map(layered(4)), file)).toThrow(
    new CheckpointError(
      "model.safetensors: does not fit the model: h.2.mlp.c_fc.weight [2, 8], h.3.mlp.c_fc.weight [2, 8] are missing; " +
        "the file has 2 layers under h, the model has 4; check that the config and the weights belong together",
    ),
  );
});

test("a file with more layers, another vocabulary and something else", async () => {
  const file = await fileOf([...layered(9).map(([name, shape]) => zeros(name, shape)), zeros("score.weight", [1, 2])]);
  const expected = new Map(layered(4)).set("wte.weight", [6, 2]);
  expect(() => matchTensors(expected, file)).toThrow(
    "wte.weight [5, 2] ([6, 2] is expected) has another shape; h.4.mlp.c_fc.weight, h.5.mlp.c_fc.weight, " +
      "h.6.mlp.c_fc.weight, and 3 more are not part of the model; the file has 9 layers under h, the model has 4;",
  );
});

test("renaming maps, drops, and may not make two of one", async () => {
  const file = await fileOf([zeros("transformer.a", [1]), zeros("h.0.attn.bias", [3])]);
  const rename = (name: string) => (name.endsWith("attn.bias") ? null : name.replace("transformer.", ""));
  expect(matchTensors(new Map([["a", [1]]]), file, rename)).toEqual(new Map([["a", "transformer.a"]]));
  expect(() => matchTensors(new Map([["a", [1]]]), file, () => "a")).toThrow("are both a");
});

test("transposing more than a block, and not a whole number of them", () => {
  const [rows, columns] = [70, 33];
  const values = Float32Array.from({ length: rows * columns }, (_, i) => i);
  const out = transpose(values, [rows, columns]);
  for (const [row, column] of [
    [0, 0],
    [69, 32],
    [31, 32],
    [64, 1],
  ] as const) {
    expect(out[column * rows + row]).toBe(row * columns + column);
  }
  expect(transpose(out, [columns, rows])).toEqual(values);
});

test("only matrices are transposed", () => {
  const tensor = Tensor.empty(backend, [2]);
  expect(() => writableTensors([{ name: "b", tensor, transposed: true }])).toThrow("only a matrix");
});
