import { ModelEntry, ModelList } from "../answers.ts";
import { defineGet, json } from "../route.ts";
import type { ServedModel } from "../served-model.ts";

function entryOf({ name, found, opened }: ServedModel): ModelEntry {
  return {
    id: name,
    object: "model",
    created: found.created,
    owned_by: "stemma",
    kind: found.kind,
    max_model_len: opened?.context ?? null,
  };
}

/** `GET /v1/models` */
export const models = defineGet({
  path: "/v1/models",
  summary: "the models that there are",
  answer: ModelList,
  handle: ({ service }) => json({ object: "list", data: service.models.all().map(entryOf) }),
});

/** `GET /v1/models/{id}`; an id may have slashes in it. */
export const model = defineGet({
  path: "/v1/models/:id{.+}",
  summary: "one of them",
  answer: ModelEntry,
  handle: ({ service, parameter }) => json(entryOf(service.models.get(parameter("id")))),
});
