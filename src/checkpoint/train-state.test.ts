import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { bitsOf } from "../core/float-formats.ts";
import type { TrainingContents } from "./train-state.ts";
import { latestCheckpoint, listCheckpoints, openCheckpoint, writeCheckpoint } from "./train-state.ts";

let output = "";
beforeEach(async () => {
  output = await mkdtemp(join(tmpdir(), "run-"));
});
afterEach(() => rm(output, { recursive: true }));

/** Bit patterns that only an exact copy keeps: subnormal, negative zero, a NaN with a payload, neighbours of 1. */
const bits = Uint32Array.from([1, 0x80000000, 0x7fc01234, 0x3f800001, 0x3f7fffff, 0xff7fffff]);

function contentsAt(step: number): TrainingContents {
  const values = new Float32Array(bits.buffer.slice(0));
  return {
    model: { config: { model_type: "gpt2" }, tensors: [{ name: "w", shape: [2, 3], read: () => values }] },
    optimizer: [
      { name: "w.exp_avg", shape: [2, 3], read: () => values },
      { name: "w.exp_avg_sq", shape: [2, 3], read: () => values },
    ],
    trainer: { global_step: step, log_history: [{ step: 1, loss: 0.1 + 0.2, grad_norm: Number.POSITIVE_INFINITY }] },
    random: { seed: [4294967295, 0], stream: 17, data: { epoch: 2, position: 1e15 } },
  };
}

const stepsOf = async () => (await listCheckpoints(output)).map(({ step }) => step);

describe("a checkpoint", () => {
  test("gives back every bit and every state", async () => {
    const path = await writeCheckpoint(output, contentsAt(30));
    expect(path).toBe(join(output, "checkpoint-30"));
    const checkpoint = await openCheckpoint(path);
    expect(bitsOf(await checkpoint.model.tensors.read("w"))).toEqual(bits);
    expect(bitsOf(await checkpoint.optimizer.read("w.exp_avg_sq"))).toEqual(bits);
    expect(checkpoint.random).toEqual(contentsAt(30).random);
    expect(checkpoint.trainer.global_step).toBe(30);
    expect(checkpoint.trainer.log_history).toEqual([{ step: 1, loss: 0.1 + 0.2, grad_norm: null }]);
    await checkpoint.close();
  });

  test("has the files and keys that others look for", async () => {
    const path = await writeCheckpoint(output, contentsAt(0));
    expect((await readdir(path)).sort()).toEqual([
      "config.json",
      "model.safetensors",
      "optimizer.safetensors",
      "rng_state.json",
      "trainer_state.json",
    ]);
    const state = JSON.parse(await readFile(join(path, "trainer_state.json"), "utf8"));
    expect(Object.keys(state)).toEqual(Object.keys(state).toSorted());
    expect(state).toMatchObject({ global_step: 0, is_world_process_zero: true, best_metric: null, max_steps: 0 });
  });

  test("of the same contents has the same bytes, also over an older one", async () => {
    const path = await writeCheckpoint(output, contentsAt(5));
    const read = () => Promise.all(["optimizer.safetensors", "trainer_state.json"].map((f) => readFile(join(path, f))));
    const first = await read();
    await writeCheckpoint(output, contentsAt(5));
    expect(await read()).toEqual(first);
  });

  test("is refused when its state would not survive", async () => {
    const contents = contentsAt(5);
    await expect(writeCheckpoint(output, { ...contents, random: { a: [0, Number.NaN] } })).rejects.toThrow(
      "rng_state.json: a.1 is NaN, which JSON cannot hold",
    );
    await expect(writeCheckpoint(output, contentsAt(1.5))).rejects.toThrow("global_step must be an integer");
    expect(await readdir(output)).toEqual([]);
  });
});

describe("the checkpoints of a run", () => {
  test("are listed by step, complete ones only", async () => {
    for (const step of [100, 20, 3]) await writeCheckpoint(output, contentsAt(step));
    await mkdir(join(output, "checkpoint-500"));
    await writeFile(join(output, "checkpoint-600"), "");
    await rm(join(output, "checkpoint-20", "optimizer.safetensors"));
    expect(await stepsOf()).toEqual([3, 100]);
    expect(await latestCheckpoint(output)).toEqual({ step: 100, path: join(output, "checkpoint-100") });
  });

  test("none where there is no run", async () => {
    expect(await listCheckpoints(join(output, "none"))).toEqual([]);
    expect(await latestCheckpoint(join(output, "none"))).toBeNull();
  });

  test("rotate: the oldest go, other files stay", async () => {
    await writeFile(join(output, "metrics.jsonl"), "");
    for (const step of [5, 10, 15, 20]) await writeCheckpoint(output, contentsAt(step), { saveTotalLimit: 2 });
    expect(await stepsOf()).toEqual([15, 20]);
    expect((await readdir(output)).sort()).toEqual(["checkpoint-15", "checkpoint-20", "metrics.jsonl"]);
  });

  test("rotate: neither the newest nor the one just written goes, nor an incomplete one", async () => {
    for (const step of [10, 20, 30]) await writeCheckpoint(output, contentsAt(step));
    await mkdir(join(output, "checkpoint-1"));
    await writeCheckpoint(output, contentsAt(15), { saveTotalLimit: 1 });
    expect(await stepsOf()).toEqual([15, 30]);
    expect(await readdir(output)).toContain("checkpoint-1");
  });

  test("come back whole after a kill", async () => {
    await writeCheckpoint(output, contentsAt(10));
    await writeCheckpoint(output, contentsAt(20));
    // Killed between the two renames that replace checkpoint 20, after an earlier kill while writing checkpoint 30.
    await rename(join(output, "checkpoint-20"), join(output, ".checkpoint-20.replaced-99999999.0-0123456789ab"));
    await mkdir(join(output, ".checkpoint-30.partial-99999999.0-0123456789ab"));
    expect(await stepsOf()).toEqual([10]);
    expect((await latestCheckpoint(output))?.step).toBe(20);
    expect((await readdir(output)).sort()).toEqual(["checkpoint-10", "checkpoint-20"]);
  });

  test("say what is wrong with one that is damaged", async () => {
    const path = await writeCheckpoint(output, contentsAt(10));
    await writeFile(join(path, "trainer_state.json"), '{"global_step":-1}');
    await expect(openCheckpoint(path)).rejects.toThrow("trainer_state.json: global_step must be an integer from 0 on");
    await writeFile(join(path, "trainer_state.json"), '{"global_step":1}');
    await expect(openCheckpoint(path)).rejects.toThrow("log_history is undefined");
    await rm(join(path, "trainer_state.json"));
    await expect(openCheckpoint(path)).rejects.toThrow("trainer_state.json: cannot read: it does not exist");
  });
});
