import { expect, test } from "vitest";
import { z } from "zod";
import { SettingsError } from "./errors.ts";
import { parseSettings } from "./parse-settings.ts";

const schema = z.object({
  temperature: z.number().min(0).default(1),
  topK: z.int().default(0),
  data: z.array(z.string()),
  kind: z.enum(["plain", "fancy"]).optional(),
});
const parse = (given: object) => parseSettings("thing", schema, given as z.input<typeof schema>);

test("defaults are filled in", () => {
  expect(parse({ data: ["a"], kind: undefined })).toEqual({ temperature: 1, topK: 0, data: ["a"] });
});

test.each([
  [{ data: [], temprature: 1 }, "thing: has no setting temprature; did you mean temperature?"],
  [{ data: [], zzz: 1 }, "thing: has no setting zzz; known are temperature, topK, data, kind"],
  [{ data: [], temperature: -1 }, "thing: temperature must be at least 0, got -1"],
  [{ data: ["a", 3] }, "thing: data.1 must be text, got 3"],
  [{ data: [], kind: "plane" }, 'thing: kind must be one of plain, fancy, got "plane"'],
  [{ topK: 1.5 }, "thing: topK must be an integer, got 1.5; also data is missing; it must be a list"],
  [[], "thing: must be a mapping"],
])("%j is refused in one line", (given, message) => {
  expect(() => parse(given)).toThrow(new SettingsError(message));
});
