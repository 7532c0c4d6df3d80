import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { buildFolder } from "./build-folder.ts";

const scratch = mkdtempSync(join(tmpdir(), "stemma-build-"));
afterAll(() => rmSync(scratch, { recursive: true }));

function writer(contents: string): (folder: string) => Promise<void> {
  return async (folder) => writeFileSync(join(folder, "file"), contents);
}

test("a folder appears with everything in it, parents included", async () => {
  const target = join(scratch, "made/in/here");
  await buildFolder(target, async (folder) => {
    await writer("whole")(folder);
    expect(readdirSync(join(scratch, "made/in"))).not.toContain("here");
  });
  expect(readFileSync(join(target, "file"), "utf8")).toBe("whole");
  expect(readdirSync(join(scratch, "made/in"))).toEqual(["here"]);
});

test("a failure leaves nothing, and comes through", async () => {
  const target = join(scratch, "failed/here");
  const building = buildFolder(target, async (folder) => {
    await writer("half")(folder);
    throw new Error("something broke");
  });
  await expect(building).rejects.toThrow("something broke");
  expect(readdirSync(join(scratch, "failed"))).toEqual([]);
});

test("of two builders at once the first to finish wins", async () => {
  const target = join(scratch, "raced/here");
  await buildFolder(target, async (folder) => {
    await writer("second")(folder);
    await buildFolder(target, writer("first"));
  });
  expect(readFileSync(join(target, "file"), "utf8")).toBe("first");
  expect(readdirSync(join(scratch, "raced"))).toEqual(["here"]);
});

test("what a killed process left behind is not taken for the folder, and goes away", async () => {
  const target = join(scratch, "killed/here");
  mkdirSync(join(scratch, "killed"));
  const program = `
    import { writeFileSync } from "node:fs";
    import { buildFolder } from ${JSON.stringify(join(import.meta.dirname, "build-folder.ts"))};
    await buildFolder(${JSON.stringify(target)}, (folder) => {
      writeFileSync(folder + "/file", "half");
      process.stdout.write("writing");
      return new Promise((resolve) => setTimeout(resolve, 60_000));
    });`;
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
  const left = readdirSync(join(scratch, "killed"));
  expect(left).toHaveLength(1);
  expect(left[0]).toMatch(/^\.here\.unfinished-/);

  await buildFolder(target, writer("whole"));
  expect(readdirSync(join(scratch, "killed"))).toEqual(["here"]);
  expect(readFileSync(join(target, "file"), "utf8")).toBe("whole");
});

test("a place that cannot be written is an error with a remedy", async () => {
  writeFileSync(join(scratch, "file"), "");
  await expect(buildFolder(join(scratch, "file/here"), writer(""))).rejects.toThrow(
    /cannot write: a file is where a folder is needed; remove it or choose another place/,
  );
});
