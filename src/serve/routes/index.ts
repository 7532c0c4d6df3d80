import { apiRoutes } from "../api/index.ts";
import { openApi } from "../open-api.ts";
import type { Route } from "../route.ts";
import { defineRoute, json } from "../route.ts";
import { chatCompletions } from "./chat-completions.ts";
import { completions } from "./completions.ts";
import { embeddings, scoreEvaluation } from "./embeddings.ts";
import { health, metrics } from "./health.ts";
import { model, models } from "./models.ts";
import { applyTemplate, detokenize, tokenize, tokenizerInfo } from "./tokens.ts";

const described: readonly Route[] = [
  models,
  model,
  completions,
  chatCompletions,
  embeddings,
  scoreEvaluation,
  tokenizerInfo,
  tokenize,
  detokenize,
  applyTemplate,
  health,
  metrics,
  ...apiRoutes,
];

/** `GET /openapi.json`: all other routes, described from their own schemas. */
const description = defineRoute({
  method: "GET",
  path: "/openapi.json",
  summary: "this description",
  body: null,
  answer: { type: "text" },
  handle: () => json(openApi(described)),
});

/** Every route of the server. */
export const routes: readonly Route[] = [...described, description];
