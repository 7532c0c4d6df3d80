import { expect, test } from "vitest";
import { CheckpointError } from "./errors.ts";

test("a message is one line, also about a name that holds line breaks", () => {
  const cause = new Error("inner");
  const error = new CheckpointError("x.gguf: a\r\nb is missing; fetch it again", { cause });
  expect(error.message).toBe(String.raw`x.gguf: a\r\nb is missing; fetch it again`);
  expect(error.cause).toBe(cause);
  expect(error.name).toBe("CheckpointError");
});
