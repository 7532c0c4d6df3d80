import { z } from "zod";

/** What a model is good for. */
export const ModelKind = z.enum(["decoder", "embedder", "reward"]);
export type ModelKind = z.output<typeof ModelKind>;
