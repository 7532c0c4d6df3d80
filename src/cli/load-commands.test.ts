import { expect, test } from "vitest";
import { commands } from "./index.ts";
import { loadCommands } from "./load-commands.ts";

test.each(commands.map(({ name }) => name))("%s is found by its words", async (name) => {
  const command = commands.find((candidate) => candidate.name === name);
  expect(await loadCommands([...name.split(" "), "--help"])).toContain(command);
});

test("what is asked at a prompt is loaded alone, and anything else with all commands", async () => {
  expect((await loadCommands(["chat"])).map(({ name }) => name)).toEqual(["chat"]);
  expect(await loadCommands([])).toBe(commands);
  expect(await loadCommands(["chatt"])).toBe(commands);
});
