import type { Route } from "../route.ts";
import { runs } from "./runs.ts";

/** Routes of the browser app, in the order of their description; a file each resource. */
export const apiRoutes: readonly Route[] = [runs];
