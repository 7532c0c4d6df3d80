import { expect, test } from "vitest";
import { chooseFiles } from "./choose-files.ts";
import { parseHubReference } from "./hub-reference.ts";

/** Paths that are chosen of a repository with these. */
function chosen(paths: readonly string[], reference = "org/x"): string[] {
  const files = paths.map((path) => ({ path, size: 1, hash: "" }));
  return chooseFiles({ name: "org/x", commit: "", files }, parseHubReference(reference)).map(({ path }) => path);
}

test("shards with their index, or the one file where there are both", () => {
  const shards = [
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
    "model.safetensors.index.json",
  ];
  const config = ["config.json", "generation_config.json", "vocab.json", "merges.txt", "chat_template.jinja"];
  const others = ["pytorch_model.bin", "consolidated.safetensors", "x.gguf", "training_args.bin", "tf_model.h5"];
  expect(chosen([...config, ...shards, ...others])).toEqual([...config, ...shards]);
  expect(chosen([...config, "model.safetensors", ...shards])).toEqual([...config, "model.safetensors"]);
  expect(chosen(["adapter_config.json", "adapter_model.safetensors"])).toHaveLength(2);
});

test("a GGUF file where it is named, or all there is", () => {
  expect(chosen(["config.json", "model.safetensors", "q/x.gguf"], "org/x:q/x.gguf")).toEqual(["q/x.gguf"]);
  expect(chosen(["README.md", "config.json", "x.gguf"])).toEqual(["x.gguf"]);
  expect(() => chosen(["a.gguf", "b.gguf"])).toThrow(
    "org/x: has several GGUF files; name one, such as org/x:a.gguf: a.gguf, b.gguf",
  );
  expect(() => chosen(["a.gguf", "b.json"], "org/x:c.gguf")).toThrow(
    "org/x: there is no file c.gguf; there are a.gguf",
  );
});

test("never a pickle", () => {
  const message =
    "org/x: pytorch_model.bin is a pickle, which runs code as it is read, and is never fetched; choose a repository or revision with safetensors (the hub's converter offers them as org/x@refs/pr/1)";
  expect(() => chosen(["config.json", "pytorch_model.bin"])).toThrow(message);
  expect(() => chosen(["pytorch_model.bin", "model.safetensors"], "org/x:pytorch_model.bin")).toThrow(message);
});

test("a repository of something else is called one", () => {
  expect(() => chosen(["README.md"], "org/x@v1")).toThrow(
    "org/x@v1: has no model.safetensors and no GGUF file, no weights; choose a repository of a language model",
  );
  expect(() => chosen(["unet.safetensors"])).toThrow("only unet.safetensors");
});
