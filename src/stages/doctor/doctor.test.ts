import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { FusedKernels } from "../../backend/fused-kernels.ts";
import type { Backend, Kernels } from "../../backend/kernels.ts";
import { openReference } from "../../backend/reference/index.ts";
import { DataError } from "../../core/errors.ts";
import type { Check } from "./check.ts";
import { Skipped } from "./check.ts";
import { examine } from "./index.ts";
import { backendGaps, verdict } from "./kernel-checks.ts";
import { compareVersions } from "./machine-checks.ts";
import { opCases } from "./op-cases.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stemma-doctor-test-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The reference with some kernels exchanged. */
function withKernels(changes: Partial<Kernels & FusedKernels>): Backend {
  const reference = openReference();
  const [kernels, fused] = [{ ...reference.kernels }, { ...reference.fused }];
  for (const [name, kernel] of Object.entries(changes))
    Object.assign(name in kernels ? kernels : fused, { [name]: kernel });
  return { ...reference, kernels, fused, all: { ...kernels, ...fused } as Kernels & FusedKernels };
}

const check = (name: string, run: Check["run"]): Check => ({ name, run });

test("a check that fails is reported, and the others are made all the same", async () => {
  const seen: string[] = [];
  const broken = check("broken", async () => {
    throw new DataError("2 is not 3");
  });
  const checks = [broken, check("fine", async () => "as it should be"), check("absent", async () => new Skipped("no"))];
  const results = await examine({ output: folder, threads: 1 }, ({ name }) => seen.push(name), checks);
  expect(results.map(({ name, status, detail }) => [name, status, detail])).toEqual([
    ["broken", "failed", "2 is not 3"],
    ["fine", "ok", "as it should be"],
    ["absent", "skipped", "no"],
  ]);
  expect(seen).toEqual(["broken", "fine", "absent"]);
});

test("checks work in a folder of their own, on the disk of an output folder that is not made for them", async () => {
  const output = join(folder, "not", "yet");
  let place = "";
  const look = check("look", async (environment) => {
    place = environment.folder;
    return existsSync(place) ? "there" : "missing";
  });
  const [result] = await examine({ output, threads: 0 }, () => {}, [look]);
  expect(result?.detail).toBe("there");
  expect(place.startsWith(folder)).toBe(true);
  expect(readdirSync(folder)).toEqual([]);
});

describe("kernels", () => {
  const cases = opCases({ rows: 5, width: 8 });

  test("the reference is like itself", async () => {
    expect(verdict(await backendGaps(cases, openReference()), 1e-5, "all")).toMatch(/^all, at most \de-\d off$/);
  });

  test("a kernel that is off by a thousandth is named", async () => {
    const { kernels } = openReference();
    const softmax: Kernels["softmax"] = (x, out) => {
      kernels.softmax(x, out);
      kernels.affine(out, 1.001, 0, out);
    };
    const gaps = await backendGaps(cases, withKernels({ softmax }), "here");
    expect(() => verdict(gaps, 1e-5, "all")).toThrow(/^softmax here is off by 0\.00\d+; at most 0.00001 is right$/);
  });

  test("a gradient that is not a number is named", async () => {
    const { kernels } = openReference();
    const unaryGrad: Kernels["unaryGrad"] = (kind, x, dy, dx) =>
      kind === "tanh" ? kernels.fill(dx, Number.NaN) : kernels.unaryGrad(kind, x, dy, dx);
    const gaps = await backendGaps(cases, withKernels({ unaryGrad }));
    expect(() => verdict(gaps, 1e-5, "all")).toThrow(/^tanh is off by NaN;/);
  });

  test("every one is used by a case, but for those that only training or decoding calls", async () => {
    const reference = openReference();
    const used = new Set<string>();
    const watched = Object.entries(reference.all).map(([name, kernel]) => {
      const watching = (...operands: readonly unknown[]): void => {
        used.add(name);
        (kernel as (...all: readonly unknown[]) => void)(...operands);
      };
      return [name, watching];
    });
    await backendGaps(cases, withKernels(Object.fromEntries(watched)));
    const unused = Object.keys(reference.all).filter((name) => !used.has(name));
    expect(unused.sort()).toEqual(["adamw", "argmax", "average", "decode", "globalNorm", "raggedAttention", "setRows"]);
  });
});

test.each([
  ["20.19.0", "20.19", 0],
  ["20.20.2", "20.19", 1],
  ["18.20.0", "20.19", -1],
  ["22.1.0", "20.19", 1],
  ["20.9.0", "20.19", -1],
])("Node %s beside %s", (a, b, sign) => {
  expect(Math.sign(compareVersions(a, b))).toBe(sign);
});
