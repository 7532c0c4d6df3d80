import type { Stage } from "./stage.ts";

/** Every stage; each is a command of the same name. */
export const stages: readonly Stage[] = [];
