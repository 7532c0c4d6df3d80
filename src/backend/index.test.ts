import { afterEach, expect, test, vi } from "vitest";
import { SettingsError, UnsupportedError } from "../core/errors.ts";
import type { BackendName } from "./index.ts";
import { backends, openBackend } from "./index.ts";
import { openNative } from "./native/index.ts";

const native = await backends.native({});
vi.stubEnv("STEMMA_BACKEND", "");
afterEach(() => {
  vi.stubEnv("STEMMA_BACKEND", "");
  vi.stubEnv("STEMMA_ISA", "");
});

test("the reference by name", async () => {
  expect((await openBackend({ name: "reference" })).name).toBe("reference");
});

test("native where it is built, else the reference and one line about it", async () => {
  const messages: string[] = [];
  const backend = await openBackend({ onFallback: (message) => messages.push(message) });
  expect(backend.name).toBe(native.backend ? "native" : "reference");
  expect(messages).toHaveLength(native.backend ? 0 : 1);
  for (const message of messages) expect(message).toMatch(/^computing with the reference backend.*; run `.+`/);
});

test("a backend asked for by name is never replaced by another", async () => {
  if (native.backend) expect((await openBackend({ name: "native" })).name).toBe("native");
  else await expect(openBackend({ name: "native" })).rejects.toThrow(UnsupportedError);
});

test("the environment chooses where nobody else does, and is told of as a choice", async () => {
  vi.stubEnv("STEMMA_BACKEND", "reference");
  const messages: string[] = [];
  expect((await openBackend({ onFallback: (message) => messages.push(message) })).name).toBe("reference");
  expect(messages).toEqual([
    expect.stringMatching(/^computing with the reference backend.*: STEMMA_BACKEND asks for it$/),
  ]);
  if (native.backend) expect((await openBackend({ name: "native" })).name).toBe("native");
  vi.stubEnv("STEMMA_BACKEND", "gpu");
  await expect(openBackend()).rejects.toThrow(
    new SettingsError("STEMMA_BACKEND: there is none called gpu; choose one of native, reference"),
  );
});

test.skipIf(!native.backend)("the environment chooses the instruction set", () => {
  vi.stubEnv("STEMMA_ISA", "portable");
  expect(openNative().backend?.machine).toMatchObject({ instructionSet: "portable", hasBfloat16Products: false });
  vi.stubEnv("STEMMA_ISA", "mmx");
  expect(() => openNative()).toThrow(/^STEMMA_ISA: this processor cannot run mmx; it can run .*portable$/);
});

test("settings that make no sense", async () => {
  await expect(openBackend({ name: "toString" as BackendName })).rejects.toThrow(
    new SettingsError("backend: there is none called toString; choose one of native, reference"),
  );
  for (const threads of [0, 1.5, -1, Number.NaN]) await expect(openBackend({ threads })).rejects.toThrow(SettingsError);
});
