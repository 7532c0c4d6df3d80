import { expect, test } from "vitest";
import { formatHubReference, parseHubReference } from "./hub-reference.ts";

test.each([
  ["org/name", { name: "org/name", revision: "main", file: null }],
  ["hub:gpt2", { name: "gpt2", revision: "main", file: null }],
  ["hub:org/name@refs/pr/1", { name: "org/name", revision: "refs/pr/1", file: null }],
  ["org/n.a-m_e@v1.0:q4/x@2.gguf", { name: "org/n.a-m_e", revision: "v1.0", file: "q4/x@2.gguf" }],
])("%s", (text, expected) => {
  expect(parseHubReference(text)).toEqual(expected);
  expect(formatHubReference(parseHubReference(text))).toBe(text.replace("hub:", ""));
});

test.each([
  ["", '"": is no name of a model repository; write ORG/NAME, ORG/NAME@revision or ORG/NAME:file'],
  ["https://huggingface.co/org/name", "write ORG/NAME, ORG/NAME@revision or ORG/NAME:file"],
  ["../name", "is no name of a model repository"],
  ["a/b/c", "is no name of a model repository"],
  ["org--x/name", "is no name of a model repository"],
  ["org/name@../../x", '"../../x" is no revision'],
  ["org/name:../x", '"../x" is no path of a file in a repository'],
  ["org/name:/etc/passwd", "is no path of a file in a repository"],
])("%j is refused", (text, message) => {
  expect(() => parseHubReference(text)).toThrow(message);
});
