import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runCommand } from "../../test/run-command.ts";
import { quickstart } from "./quickstart.ts";

test("a quickstart that is stopped while the machine is measured has begun nothing", async () => {
  const folder = mkdtempSync(join(tmpdir(), "stemma-quickstart-"));
  const output = join(folder, "quick");
  const stopped = runCommand(quickstart, { output, matmulPrecision: "float32" }, [], {
    stopSignal: () => AbortSignal.abort(),
  });
  await expect(stopped).rejects.toThrow("quickstart: stopped while it measured the machine; nothing was begun");
  expect(existsSync(output)).toBe(false);
  rmSync(folder, { recursive: true });
});
