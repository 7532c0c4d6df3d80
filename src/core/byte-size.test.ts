import { expect, test } from "vitest";
import { formatBytes } from "./byte-size.ts";

test.each([
  [0, "0 B"],
  [5, "5 B"],
  [999, "999 B"],
  [1000, "1.00 kB"],
  [16e9, "16.0 GB"],
  [512e6, "512 MB"],
  [3e15, "3,000 TB"],
])("%d bytes are %s", (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});
