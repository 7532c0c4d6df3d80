import { expect, test } from "vitest";
import { openBackend } from "../backend/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import { composite, contactSheet, filledPicture } from "./picture.ts";
import { picturesOfTensor, tensorOfPictures } from "./picture-tensor.ts";

const backend = await openBackend({ name: "reference" });

test("composite weighs by alpha", () => {
  const bytes = Uint8Array.from([100, 0, 50, 51, 1, 2, 3, 0]);
  const picture = { width: 2, height: 1, channels: 4, bytes } as const;
  // 51 of 255 is a fifth: 0.2 · 100 + 0.8 · 255 = 224
  expect([...composite(picture).bytes]).toEqual([224, 204, 214, 255, 255, 255]);
  expect([...composite(picture, [0, 0, 0]).bytes]).toEqual([20, 0, 10, 0, 0, 0]);
});

test("a sheet has each picture in its cell", () => {
  const [red, blue] = [filledPicture(1, 1, [255, 0, 0]), filledPicture(2, 1, [0, 0, 255])];
  const sheet = contactSheet([red, blue], { columns: 2, gap: 1, background: [0, 0, 0] });
  expect([sheet.width, sheet.height]).toEqual([7, 3]);
  const middle = [...sheet.bytes.subarray(21, 42)];
  expect(middle).toEqual([0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0, 255, 0, 0, 0]);
  expect(() => contactSheet([])).toThrow("contact sheet: there are no pictures; give one at least");
});

test("bytes are values from −1 to 1, and back", async () => {
  const picture = { width: 2, height: 1, channels: 3, bytes: Uint8Array.from([0, 51, 255, 128, 127, 1]) } as const;
  const tensor = tensorOfPictures(backend, [picture]);
  expect(tensor.shape).toEqual([1, 1, 2, 3]);
  expect([...(await tensor.floats())].slice(0, 3)).toEqual([-1, Math.fround(-0.6), 1]);
  expect(await picturesOfTensor(tensor)).toEqual([picture]);
  const outside = Tensor.from(backend, [-7, 0, 7], [1, 1, 1, 3]);
  expect(await picturesOfTensor(outside)).toMatchObject([{ bytes: Uint8Array.from([0, 128, 255]) }]);
});

test("pictures of two sizes are no batch, nor is a vector", async () => {
  const [small, large] = [filledPicture(1, 1, [0, 0, 0]), filledPicture(2, 1, [0, 0, 0])];
  expect(() => tensorOfPictures(backend, [small, large])).toThrow("pictures: 2 × 1 pixels beside 1 × 1; resize them");
  await expect(picturesOfTensor(Tensor.from(backend, [1], [1]))).rejects.toThrow("pictures: [1] are none");
});
