import { expect, test } from "vitest";
import { openReference } from "../backend/reference/index.ts";
import { Parameter } from "../nn/parameters.ts";
import { WeightAverage } from "./weight-average.ts";

const backend = openReference();

function filled(values: readonly number[]): Parameter {
  const parameter = Parameter.create(backend, [values.length]);
  parameter.write(Float32Array.from(values));
  return parameter;
}

test("follows trained weights, quickly at first and then by its decay", async () => {
  const [weight, frozen] = [filled([1, -2]), filled([5])];
  frozen.requiresGrad = false;
  const average = new WeightAverage(
    new Map([
      ["weight", weight],
      ["frozen", frozen],
    ]),
    0.25,
  );
  expect([...average.state().keys()]).toEqual(["weight.average"]);
  weight.write(Float32Array.of(3, 2));
  average.update(); // d = 2/11
  weight.write(Float32Array.of(0, 0));
  average.update(); // d = 3/12 = 0.25
  const first = [(2 / 11) * 1 + (9 / 11) * 3, (2 / 11) * -2 + (9 / 11) * 2];
  const expected = first.map((value) => expect.closeTo(0.25 * value, 6));
  expect([...((await average.state().get("weight.average")?.read()) ?? [])]).toEqual(expected);
  expect(average.step).toBe(2);

  await average.during(async () => expect([...(await weight.read())]).toEqual(expected));
  expect([...(await weight.read())]).toEqual([0, 0]);
  await expect(average.during(() => Promise.reject(new Error("stopped")))).rejects.toThrow("stopped");
  expect([...(await weight.read())]).toEqual([0, 0]);
});
