import { validate } from "@readme/openapi-parser";
import { expect, test } from "vitest";
import { openApi } from "./open-api.ts";
import { routes } from "./routes/index.ts";

test("the description of all routes is one of OpenAPI's, to a validator that others wrote", async () => {
  const description = openApi(routes) as { paths: Record<string, Record<string, { operationId: string }>> };
  const found = await validate(structuredClone(description) as never);
  expect(found).toMatchObject({ valid: true, warnings: [] });
  const operations = Object.values(description.paths).flatMap((path) => Object.values(path));
  expect(operations).toHaveLength(routes.length);
  expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
});

test("the validator says what is wrong where something is", async () => {
  const wrong = structuredClone(openApi(routes)) as { paths: Record<string, { get: object }> };
  wrong.paths["/v1/models/{id}"] = { get: { responses: 5 } };
  expect(await validate(wrong as never)).toMatchObject({ valid: false });
});
