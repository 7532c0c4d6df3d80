import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, onTestFinished, test, vi } from "vitest";
import { z } from "zod";
import { resolveSources } from "../data/sources.ts";
import { stages } from "./index.ts";
import { absolutePaths } from "./run-paths.ts";

const folder = mkdtempSync(join(tmpdir(), "stemma-paths-"));
afterAll(() => rmSync(folder, { recursive: true }));

const schema = z.object({
  model: z.string().meta({ isPath: { unless: "^(gpt2|bert)$" } }),
  data: z.array(z.string()).meta({ isData: true }),
  critic: z.string().nullable().meta({ isPath: true }),
  prompt: z.string(),
});

test("paths become absolute; words, weights, absences and texts stay", () => {
  const given = { model: "gpt2", data: ["a.txt=3", "/other/b.txt", "texts/*.txt"], critic: null, prompt: "a.txt" };
  expect(absolutePaths(schema, given, "/home/me")).toEqual({
    ...given,
    data: ["/home/me/a.txt=3", "/other/b.txt", "/home/me/texts/*.txt"],
  });
  expect(absolutePaths(schema, { model: "gpt2/final", critic: "../critic" }, "/home/me")).toEqual({
    model: "/home/me/gpt2/final",
    critic: "/home/critic",
  });
});

test("a model in the hub's cache is recorded by its name and commit", () => {
  vi.stubEnv("HF_HUB_CACHE", "/cache");
  onTestFinished(() => void vi.unstubAllEnvs());
  const commit = "0123456789abcdef0123456789abcdef01234567";
  const snapshot = `/cache/models--org--tiny/snapshots/${commit}`;
  const given = { model: snapshot, critic: `${snapshot}/q/x.gguf`, data: [`${snapshot}/a.txt`] };
  expect(absolutePaths(schema, given, "/home/me")).toEqual({
    ...{ model: `hub:org/tiny@${commit}`, critic: `hub:org/tiny@${commit}:q/x.gguf`, data: given.data },
  });
  const others = { model: `hub:org/tiny@${commit}`, critic: "/cache/models--org--tiny/snapshots/main" };
  expect(absolutePaths(schema, others, "/home/me")).toEqual(others);
});

test("a glob below a folder whose name looks like one finds the same files from anywhere", async () => {
  const strange = mkdtempSync(join(folder, "[a] (b) "));
  writeFileSync(join(strange, "text.txt"), "To be");
  const { data } = absolutePaths(schema, { data: ["*.txt"] }, strange) as { data: string[] };
  const [source] = await resolveSources(data, "/");
  expect(source?.files).toEqual([join(strange, "text.txt")]);
});

test("every stage says which of its settings are paths", () => {
  const unsaid = Object.values(stages).flatMap(({ name, settings }) =>
    Object.entries<z.ZodType>(settings.shape).flatMap(([key, setting]) => {
      const { placeholder = "", isPath = false, isData = false } = setting.meta() ?? {};
      return /folder|file|path/.test(placeholder) && !isPath && !isData ? [`${name}: ${key}`] : [];
    }),
  );
  expect(unsaid).toEqual([]);
});
