import { z } from "zod";

/** A size in a config.json. */
export const size = z.int().positive();

/** A number of layers. What is kept for each must not exhaust memory where a file is damaged. */
export const layerCount = size.max(10_000);

/** The same where there may be none. */
export const layersOrNone = z.int().nonnegative().max(10_000);

/** The id of a token. */
export const tokenId = z.int().nonnegative();

/** A share that is dropped. */
export const rate = z.number().min(0).lt(1);
