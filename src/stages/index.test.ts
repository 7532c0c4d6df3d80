import { expect, test } from "vitest";
import { stages } from "./index.ts";

test.each(stages.map((stage) => [stage.name, stage] as const))("a run of %s goes on with its own model", (_, stage) => {
  expect(Object.keys(stage.settings.shape)).toContain("model");
  expect(stage.beginning).toContain("model");
});
