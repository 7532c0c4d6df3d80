import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { native } from "./compare.ts";
import { Workspace } from "./workspace.ts";

/** Runs in a worker: opens the backend, computes for a while, and posts the bits of what it got. */
const program = `
  const { workerData, parentPort } = require("node:worker_threads");
  const { length, addon } = workerData;
  class Failure extends Error {}
  const native = require(addon).open(2, "", Failure, Failure);
  const [x, y, out] = [1, 2, 3].map(() => native.allocate(length, 0));
  native.write(x, 0, Float32Array.from({ length }, (_, i) => Math.sin(i)));
  native.write(y, 0, Float32Array.from({ length }, (_, i) => Math.cos(i)));
  for (let i = 0; i < 200; i++) native.softmaxGrad(x, 0, y, 0, out, 0, length / 100, 100);
  const values = new Float32Array(length);
  native.read(out, 0, values);
  for (const handle of [x, y, out]) native.release(handle);
  parentPort.postMessage(values);
`;

const length = 40_000;

function inWorker(): Promise<Float32Array> {
  const addon = new URL("../../build/Release/stemma.node", import.meta.url).pathname;
  const worker = new Worker(program, { eval: true, workerData: { length, addon } });
  return new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}

async function here(): Promise<Float32Array> {
  const backend = native();
  const memory = new Workspace(backend);
  const shape = [length / 100, 100];
  const [x, y] = [Math.sin, Math.cos].map((f) =>
    memory.floats(
      Float32Array.from({ length }, (_, i) => f(i)),
      shape,
    ),
  );
  const out = memory.blank(shape);
  for (let i = 0; i < 200; i++) backend.all.softmaxGrad(x!, y!, out);
  const values = await backend.read(out.storage, out.offset, length);
  memory.release();
  return Float32Array.from(values);
}

test("workers and the main thread compute at the same time, and alike", async () => {
  const expected = await here();
  const all = await Promise.all([inWorker(), inWorker(), inWorker(), here()]);
  for (const values of all) expect(Buffer.from(values.buffer).equals(Buffer.from(expected.buffer))).toBe(true);
});

test("goes on after a worker that loaded it has ended", async () => {
  const before = await inWorker();
  const after = await here();
  expect(Buffer.from(after.buffer).equals(Buffer.from(before.buffer))).toBe(true);
});
