import { expect, test } from "vitest";
import { floatText, pythonJson, pythonStr } from "./python-text.ts";
import { Float, toValue, tupleOf } from "./values.ts";

// Each right side is what CPython 3.11 prints.
test("values are written as Python's str writes them", () => {
  const value = toValue({ a: [1, 2.5, true, null, "it's", "\u00e9\u200b\n\"'"], b: { c: new Float(2) } });
  expect(pythonStr(value)).toBe(`{'a': [1, 2.5, True, None, "it's", 'é\\u200b\\n"\\''], 'b': {'c': 2.0}}`);
  expect(pythonStr(tupleOf(["x"]))).toBe("('x',)");
  expect(pythonStr("it's")).toBe("it's");
});

test.each([
  [0.1, "0.1"],
  [1e-5, "1e-05"],
  [-0.00012, "-0.00012"],
  [1e15, "1000000000000000.0"],
  [1e16, "1e+16"],
  [1.5e300, "1.5e+300"],
  [5e-324, "5e-324"],
  [0, "0.0"],
  [-0, "-0.0"],
  [Number.POSITIVE_INFINITY, "inf"],
])("the float %d is written %s", (value, text) => {
  expect(floatText(value)).toBe(text);
});

test("JSON as json.dumps writes it", () => {
  expect(pythonJson(toValue({ a: [1, 2.5], b: {}, c: "é" }), { indent: 2 })).toBe(
    '{\n  "a": [\n    1,\n    2.5\n  ],\n  "b": {},\n  "c": "é"\n}',
  );
  expect(pythonJson(toValue({ b: 1, a: "é🙂\u007f" }), { ensureAscii: true, sortKeys: true })).toBe(
    String.raw`{"a": "\u00e9\ud83d\ude42\u007f", "b": 1}`,
  );
});
