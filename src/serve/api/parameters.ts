import { ApiError, wrongField } from "../api-error.ts";
import { askModel } from "../asked-model.ts";
import { ModelKind } from "../model-kind.ts";
import { inspect } from "../read-texts.ts";
import { defineGet, json } from "../route.ts";
import { ParameterSummary, ParameterTable } from "./look-answers.ts";

/** `GET /api/parameters` */
export const parameters = defineGet({
  path: "/api/parameters",
  summary: "the parameters of a model, and its size (?model=name)",
  answer: ParameterTable,
  handle: (asked) =>
    askModel(asked, asked.query("model") ?? null, ModelKind.options, async (opened) => {
      const { model, opened: known } = opened;
      const [found = []] = await inspect<"parameters">(asked, opened, 0, [{ about: "parameters" }]);
      return json({
        ...{ model: model.name, kind: model.found.kind, process_bytes: known.bytes, context: known.context },
        ...{ vocabulary_size: known.vocabularySize, attention: known.attention },
        parameters: found.map(({ name, shape, format, bytes }) => ({
          ...{ name, shape: [...shape], format, bytes },
          count: shape.reduce((product, size) => product * size, 1),
        })),
      } satisfies ParameterTable);
    }),
});

/** `GET /api/parameter` */
export const parameter = defineGet({
  path: "/api/parameter",
  summary: "the numbers of one parameter in a few (?model=name&name=parameter)",
  answer: ParameterSummary,
  async handle(asked) {
    const name = asked.query("name") ?? "";
    if (name === "") throw wrongField("name", "name is missing; it must be one that /api/parameters lists");
    return askModel(asked, asked.query("model") ?? null, ModelKind.options, async (opened) => {
      const [summary] = await inspect<"parameter">(asked, opened, 0, [{ about: "parameter", name }]);
      if (!summary) {
        const shown = JSON.stringify(name.slice(0, 100));
        throw new ApiError(404, `${opened.model.name} has no parameter ${shown}; /api/parameters lists them`, {
          ...{ param: "name", code: "parameter_not_found" },
        });
      }
      const { standardDeviation, notFinite, ...rest } = summary;
      return json({
        ...{ name, ...rest, standard_deviation: standardDeviation, not_finite: notFinite },
        histogram: { ...rest.histogram, counts: [...rest.histogram.counts] },
      } satisfies ParameterSummary);
    });
  },
});
