import { expect, test } from "vitest";
import { CheckpointError } from "../core/errors.ts";
import { encoders } from "./encoders.ts";
import { families, otherFamilies } from "./index.ts";

const shape = { vocabularySize: 20, context: 8, width: 8, layers: 1, heads: 2, dropout: 0 };
const all = [
  ...Object.entries({ ...families, ...otherFamilies }),
  ...Object.entries(encoders).map(([name, { words }]) => [name, words] as const),
];

test.each(all)("%s: a damaged number of layers is an error, however large", (_name, family) => {
  const config = family.writeConfig(family.shaped(shape) as never, { endOfText: null });
  const keys = Object.keys(config).filter((key) =>
    /^(n|num|num_hidden|num_decoder|encoder|decoder)_layers?$/.test(key),
  );
  expect(keys).not.toEqual([]);
  for (const key of keys) {
    // Newer keys that say it again are not in the folders of older releases.
    const { layer_types: _, ...older } = config;
    for (const damaged of [config, older]) {
      expect(() => family.readConfig({ ...damaged, [key]: 2 ** 30 }), key).toThrow(CheckpointError);
    }
  }
});
