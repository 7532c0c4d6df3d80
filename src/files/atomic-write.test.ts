import { spawn } from "node:child_process";
import { once } from "node:events";
import type { FileHandle } from "node:fs/promises";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FileError } from "../core/errors.ts";
import { recoverFolder, removeFolderAtomic, writeFileAtomic, writeFolderAtomic, writeStream } from "./atomic-write.ts";
import { isTemporaryName } from "./leftovers.ts";

/** Decides for each call that reaches the file system whether it fails, and with what. */
const disk = vi.hoisted(() => ({ failure: (_operation: string): Error | null => null }));

vi.mock(import("node:fs/promises"), async (original) => {
  const real = await original();
  const guarded =
    <Arguments extends unknown[], Result>(name: string, call: (...args: Arguments) => Promise<Result>) =>
    async (...args: Arguments) => {
      const failure = disk.failure(name);
      if (failure) throw failure;
      return call(...args);
    };
  const handle = (file: FileHandle) =>
    new Proxy(file, {
      get(target, property) {
        const value: unknown = Reflect.get(target, property, target);
        if (typeof value !== "function") return value;
        // Closing always works: a killed process closes its files too.
        return property === "close" ? value.bind(target) : guarded(String(property), value.bind(target));
      },
    });
  const open: typeof real.open = async (...args) => handle(await guarded("open", real.open)(...args));
  const { mkdir: make, rename, rm: remove } = real;
  return {
    ...real,
    open,
    mkdir: guarded("mkdir", make) as typeof make,
    rename: guarded("rename", rename),
    rm: guarded("rm", remove),
  };
});

let folder = "";
let target = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "atomic-"));
  target = join(folder, "final");
});
afterEach(async () => {
  disk.failure = () => null;
  await rm(folder, { recursive: true });
});

const fillWith = (content: string) => async (place: string) => {
  await writeStream(join(place, "a"), content);
  await mkdir(join(place, "deep"));
  await writeStream(join(place, "deep", "b"), [Buffer.from(content), Buffer.from(content)]);
};

/** What the target holds, having checked that it is whole: a content, or null when it is absent. */
async function wholeContent(): Promise<string | null> {
  const names = await readdir(target).catch(() => null);
  if (names === null) return null;
  const content = await readFile(join(target, "a"), "utf8");
  expect(await readFile(join(target, "deep", "b"), "utf8")).toBe(content + content);
  return content;
}

const systemError = (code: string) => Object.assign(new Error(code), { code });

describe("writing", () => {
  test("a file, from text, bytes and chunks, making its folder", async () => {
    const path = join(folder, "deep", "down", "file");
    await writeFileAtomic(path, "text");
    expect(await readFile(path, "utf8")).toBe("text");
    await writeFileAtomic(path, Buffer.from([1, 2]));
    expect([...(await readFile(path))]).toEqual([1, 2]);
    const shared = new Uint8Array(1);
    await writeFileAtomic(
      path,
      (function* () {
        for (let i = 0; i < 5; i++) yield shared.fill(i);
      })(),
    );
    expect([...(await readFile(path))]).toEqual([0, 1, 2, 3, 4]);
    expect(await readdir(join(folder, "deep", "down"))).toEqual(["file"]);
  });

  test("a folder, new and in place of an old one", async () => {
    await writeFolderAtomic(target, fillWith("one"));
    expect(await wholeContent()).toBe("one");
    await writeFolderAtomic(target, fillWith("two"));
    expect(await wholeContent()).toBe("two");
    expect(await readdir(folder)).toEqual(["final"]);
  });

  test("through a link, which stays one", async () => {
    await mkdir(join(folder, "real"));
    await symlink("real", target);
    await writeFolderAtomic(target, fillWith("one"));
    expect((await stat(join(folder, "real", "a"))).isFile()).toBe(true);
    expect(await wholeContent()).toBe("one");
  });

  test("two writers at once: each leaves the other's temporary name alone, and one of them wins", async () => {
    await Promise.all([writeFileAtomic(target, "one"), writeFileAtomic(target, "two")]);
    expect(["one", "two"]).toContain(await readFile(target, "utf8"));
    expect(await readdir(folder)).toEqual(["final"]);
  });
});

describe("failing", () => {
  test("a full disk is named, the old contents stay and nothing is left over", async () => {
    await writeFolderAtomic(target, fillWith("old"));
    disk.failure = (operation) => (operation === "write" ? systemError("ENOSPC") : null);
    const failure = await writeFolderAtomic(target, fillWith("new")).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(FileError);
    expect((failure as Error).message).toBe(
      `${target}: cannot write: the disk is full; free some space or choose another place (what was there before is untouched)`,
    );
    expect(await wholeContent()).toBe("old");
    await expect(writeFileAtomic(join(target, "a"), "new")).rejects.toThrow("the disk is full");
    expect(await wholeContent()).toBe("old");
    expect(await readdir(folder)).toEqual(["final"]);
  });

  test("a place that is not writable, and a file in the way", async () => {
    disk.failure = (operation) => (operation === "mkdir" ? systemError("EACCES") : null);
    await expect(writeFolderAtomic(target, fillWith("new"))).rejects.toThrow("permission denied");
    disk.failure = () => null;
    await writeFile(target, "a file");
    await expect(writeFolderAtomic(target, fillWith("new"))).rejects.toThrow("is a file, not a folder");
    await expect(writeFileAtomic(join(target, "x"), "new")).rejects.toThrow("a part of the path is a file");
    expect(await readFile(target, "utf8")).toBe("a file");
  });

  test("an error of the producer comes through as it is", async () => {
    const defect = new TypeError("defect");
    const produce = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from("half");
      throw defect;
    };
    await expect(writeFileAtomic(target, produce())).rejects.toBe(defect);
    expect(await readdir(folder)).toEqual([]);
  });

  test("a failed last rename puts the old folder back", async () => {
    await writeFolderAtomic(target, fillWith("old"));
    let renames = 0;
    disk.failure = (operation) => (operation === "rename" && ++renames === 3 ? systemError("EIO") : null);
    await expect(writeFolderAtomic(target, fillWith("new"))).rejects.toThrow("the disk reports an error");
    expect(await wholeContent()).toBe("old");
    expect(await readdir(folder)).toEqual(["final"]);
  });
});

describe("dying at every single operation", () => {
  /** Runs `write` again and again, dead from the 1st, 2nd, … operation on, until it gets through. */
  async function dieEverywhere(write: () => Promise<void>, check: (died: boolean) => Promise<void>): Promise<number> {
    for (let last = 1; ; last++) {
      let operations = 0;
      disk.failure = () => (++operations >= last ? new Error("killed") : null);
      const died = await write().then(
        () => false,
        () => true,
      );
      disk.failure = () => null;
      await check(died);
      if (operations < last) return last;
    }
  }

  test("a folder being replaced is whole: old or new, and in the end nothing else is left", async () => {
    await writeFolderAtomic(target, fillWith("0"));
    let generation = 0;
    const seen = new Set<string | null>();
    const steps = await dieEverywhere(
      () => writeFolderAtomic(target, fillWith(String(generation + 1))),
      async () => {
        await recoverFolder(target);
        const content = await wholeContent();
        expect([String(generation), String(generation + 1)]).toContain(content);
        seen.add(Number(content) === generation ? "old" : "new");
        generation = Number(content);
        expect(await readdir(folder)).toEqual(["final"]);
      },
    );
    expect(steps).toBeGreaterThan(12);
    expect(seen).toEqual(new Set(["old", "new"]));
  });

  test("a new folder is whole or absent, and the next write cleans up", async () => {
    const contents: (string | null)[] = [];
    await dieEverywhere(
      () => writeFolderAtomic(target, fillWith("new")),
      async () => {
        contents.push(await wholeContent());
        await rm(target, { recursive: true, force: true });
      },
    );
    expect(contents).toContain(null);
    expect(contents.at(-1)).toBe("new");
    await writeFolderAtomic(target, fillWith("last"));
    expect(await readdir(folder)).toEqual(["final"]);
  });

  test("a file being replaced is whole", async () => {
    await writeFileAtomic(target, "old");
    await dieEverywhere(
      () => writeFileAtomic(target, [Buffer.from("ne"), Buffer.from("w")]),
      async (died) => {
        const content = await readFile(target, "utf8");
        expect(died ? ["old", "new"] : ["new"]).toContain(content);
        await writeFileAtomic(target, "old");
        expect(await readdir(folder)).toEqual(["final"]);
      },
    );
  });

  test("a folder being removed is whole or absent", async () => {
    await dieEverywhere(
      () => removeFolderAtomic(target),
      async (died) => {
        const content = await wholeContent();
        expect(died ? [null, "old"] : [null]).toContain(content);
        await writeFolderAtomic(target, fillWith("old"));
        expect(await readdir(folder)).toEqual(["final"]);
      },
    );
  });
});

describe("a process killed at any moment", () => {
  const program = `
    import { writeFolderAtomic, writeStream } from "${new URL("./atomic-write.ts", import.meta.url)}";
    for (let i = 0; ; i++) {
      await writeFolderAtomic(process.argv[1], async (place) => {
        await writeStream(place + "/a", String(i));
        await import("node:fs").then(({ mkdirSync }) => mkdirSync(place + "/deep"));
        await writeStream(place + "/deep/b", String(i) + String(i));
      });
      console.log(i);
    }`;

  test("leaves the last complete folder", async () => {
    for (let round = 0; round < 3; round++) {
      const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", program, target]);
      let finished = "";
      child.stdout.on("data", (data: Buffer) => {
        finished += data.toString();
        setTimeout(() => child.kill("SIGKILL"), 5 + round * 3);
      });
      await once(child, "close");
      await recoverFolder(target);
      const reported = Number(finished.trim().split("\n").at(-1));
      expect(Number(await wholeContent())).toBeGreaterThanOrEqual(reported);
      expect((await readdir(folder)).filter(isTemporaryName)).toEqual([]);
    }
  }, 30_000);
});
