import { expect, test } from "vitest";
import { exact, randomTensor, read, tensor } from "../../../test/exact.ts";
import { CheckpointError, ShapeError } from "../../core/errors.ts";
import { Random } from "../../core/random.ts";
import { Initializer } from "../../nn/parameters.ts";
import { timeWaves } from "./time-embedding.ts";
import type { UNetSettings } from "./unet.ts";
import { UNet } from "./unet.ts";
import { unetPart } from "./unet-folder.ts";

const settings: UNetSettings = {
  ...{ channels: 2, outputChannels: 2, pictureSize: null, middleHeads: 2, layers: 1, transformerLayers: 1 },
  levels: [
    { channels: 4, heads: null },
    { channels: 4, heads: 2 },
  ],
  ...{ textWidth: 3, groups: 2, normEpsilon: 1e-5, dropout: 0, cosinesFirst: true, frequencyShift: 0 },
  hasLinearProjections: false,
};

test("waves of a time, cosines first or sines first", async () => {
  const [first, second] = [1, 0.01].map((frequency) => 2 * frequency) as [number, number];
  const cosines = [Math.cos(first), Math.cos(second)];
  const sines = [Math.sin(first), Math.sin(second)];
  const waves = (cosinesFirst: boolean, frequencyShift: number): Promise<number[]> =>
    read(timeWaves(tensor([2]), 4, { cosinesFirst, frequencyShift }));
  expect(await waves(true, 0)).toEqual([...cosines, ...sines].map((x) => expect.closeTo(x, 6)));
  const slowest = [Math.cos(2), Math.cos(2e-4)].map((x) => expect.closeTo(x, 6));
  expect((await waves(false, 1)).slice(2)).toEqual(slowest);
});

test("a new one says 0 of everything: its last layer starts so", async () => {
  const model = new UNet(settings, new Initializer(exact, new Random(1)));
  const text = { states: randomTensor([2, 5, 3]), lengths: null };
  const output = model.denoise(randomTensor([2, 4, 6, 2]), tensor([1, 900]), text, null);
  expect(output.shape).toEqual([2, 4, 6, 2]);
  expect((await read(output)).every((x) => x === 0)).toBe(true);
});

test("what does not fit is said", () => {
  const model = new UNet(settings, new Initializer(exact, new Random(1)));
  const text = { states: randomTensor([1, 5, 3]), lengths: null };
  expect(() => model.denoise(randomTensor([1, 5, 4, 2]), tensor([1]), text, null)).toThrow(
    new ShapeError("U-Net: pictures must be [batch, height, width, 2] with sides that 2 divides, got [1, 5, 4, 2]"),
  );
  expect(() => model.denoise(randomTensor([1, 4, 4, 2]), tensor([1]), null, null)).toThrow(
    new ShapeError("U-Net: states of a text must be [1, tokens, 3], there are none"),
  );
  expect(() => new UNet({ ...settings, groups: 3 }, new Initializer(exact, null))).toThrow(
    new ShapeError("U-Net: 3 groups must divide the 4 channels of a level"),
  );
});

test.each([
  [{ class_embed_type: "timestep" }, "class_embed_type"],
  [{ block_out_channels: [8], down_block_types: ["AttnDownBlock2D"] }, "down_block_types.0"],
  [{ up_block_types: ["CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D", "UpBlock2D"] }, "up_block_types"],
  [{ attention_head_dim: [8, 8] }, "attention_head_dim"],
  [{ norm_num_groups: null }, "norm_num_groups"],
])("config %j is refused by its key", (config, key) => {
  const read = (): unknown => unetPart.readConfig(config);
  expect(read).toThrow(CheckpointError);
  expect(read).toThrow(`config.json: ${key} `);
});
