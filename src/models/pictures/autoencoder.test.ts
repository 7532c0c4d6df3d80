import { expect, test } from "vitest";
import { exact, randomTensor, read, tensor } from "../../../test/exact.ts";
import { ShapeError } from "../../core/errors.ts";
import { Random } from "../../core/random.ts";
import { Initializer } from "../../nn/parameters.ts";
import { Autoencoder, latentDivergence, sampleLatents } from "./autoencoder.ts";

const settings = {
  ...{ channels: 3, latentChannels: 2, levels: [4, 4], layers: 1, groups: 2, pictureSize: null, scale: 1, shift: 0 },
  ...{ mixesMoments: true, mixesLatents: false },
};

test("latents are half as large at each level; other sizes are refused", () => {
  const model = new Autoencoder(settings, new Initializer(exact, new Random(1)));
  expect(model.pixelsPerLatent).toBe(2);
  const { mean } = model.encode(randomTensor([1, 4, 6, 3]));
  expect(mean.shape).toEqual([1, 2, 3, 2]);
  expect(model.decode(mean).shape).toEqual([1, 4, 6, 3]);
  expect(() => model.encode(randomTensor([1, 4, 5, 3]))).toThrow(ShapeError);
  expect(() => model.decode(randomTensor([1, 2, 3, 4]))).toThrow(
    new ShapeError(
      "autoencoder: latents must be [batch, height, width, 2], got [1, 2, 3, 4]; these are another autoencoder's",
    ),
  );
  expect(() => new Autoencoder({ ...settings, levels: [4, 5] }, new Initializer(exact, null))).toThrow(ShapeError);
});

test("latents are drawn around their mean, and their divergence is that from a standard normal distribution", async () => {
  const shape = [1, 1, 2, 1];
  const moments = { mean: tensor([1, -2], shape), logVariance: tensor([0, Math.log(4)], shape) };
  const [first = 0, second = 0] = new Random(3).normal(2);
  const drawn = await read(sampleLatents(moments, new Random(3)));
  expect(drawn).toEqual([1 + first, -2 + 2 * second].map((x) => expect.closeTo(x, 6)));
  const [divergence] = await read(latentDivergence(moments));
  expect(divergence).toBeCloseTo(0.5 * (1 + (4 + 4 - 1 - Math.log(4))), 6);
});
