import { expect, test } from "vitest";
import { exact } from "../../test/exact.ts";
import { Random } from "../core/random.ts";
import { evaluationWindows } from "../data/evaluation-windows.ts";
import { memoryTokens } from "../data/token-file.ts";
import { lstm } from "../models/lstm-family.ts";
import { Initializer } from "../nn/parameters.ts";
import { evaluateContinuedText, evaluateText } from "./text-loss.ts";

test("a recurrent model that reads a text window by window loses what it loses reading it at once", async () => {
  const shape = { vocabularySize: 13, context: 4, width: 8, layers: 2, heads: 1, dropout: 0 };
  const settings = { ...lstm.shaped(shape), initializerRange: 0.5 };
  const model = lstm.create(settings, new Initializer(exact, new Random(1)));
  const ids = Int32Array.from({ length: 70 }, (_, i) => (i * i + 3 * i) % 13);
  const info = { ...{ characters: 70, bytes: 70, endOfText: 0 }, firstToken: { characters: 1, bytes: 1 } };
  const files = [{ ...memoryTokens(ids), info }];
  const windows = evaluationWindows({ files, context: 24 });
  const whole = await evaluateText(model, windows, 2);
  const continued = await evaluateContinuedText(model, windows, 2, 4);
  for (const [name, value] of Object.entries(whole)) expect(continued[name], name).toBeCloseTo(value, 10);
  const apart = await evaluateText(model, evaluationWindows({ files, context: 4 }), 2);
  expect(Math.abs((apart.eval_loss ?? 0) - (whole.eval_loss ?? 0))).toBeGreaterThan(1e-4);
});
