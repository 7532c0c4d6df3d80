import { z } from "zod";
import type { HeldOut } from "../data/hold-out.ts";
import { holdOut } from "../data/hold-out.ts";

/** In what the stages' settings of held-out rows differ. */
interface HeldOutChoice {
  /** What a file of them is for, as in `pairs to evaluate on`. */
  readonly files: string;
  /** What a share is held out of: all rows with one prompt are on one side. */
  readonly of: "data" | "prompts";
  readonly share: number;
  /** Heading in the help. */
  readonly group?: "Data";
}

/** What a run is measured by, to spread into a stage's schema. */
export function heldOutSettings({ files, of, share, group }: HeldOutChoice): {
  readonly validation: z.ZodDefault<z.ZodArray<z.ZodString>>;
  readonly validationShare: z.ZodDefault<z.ZodNumber>;
} {
  const heading = group ? { group } : {};
  return {
    validation: z
      .array(z.string())
      .default([])
      .describe(`${files}; without, a share of the ${of} is held out`)
      .meta({ placeholder: "file", isData: true, ...heading }),
    validationShare: z
      .number()
      .min(0)
      .lt(1)
      .default(share)
      .describe(`about this share of the ${of} is held out, chosen by what they say: the same ones each time`)
      .meta(heading),
  };
}

/** Which files a run learns from, and which it is measured by. */
export interface HeldOutSettings {
  readonly data: readonly string[];
  /** Empty for a share of the data. */
  readonly validation: readonly string[];
  readonly validationShare: number;
}

/**
 * Rows to learn from and rows to be measured by: those of other files where there are some, else a share as
 * {@link holdOut} takes it.
 *
 * @throws {DataError} when the share leaves nothing to learn from.
 */
export async function readHeldOut<Item>(
  { data, validation, validationShare }: HeldOutSettings,
  read: (paths: readonly string[]) => Promise<readonly Item[]>,
  key: (item: Item) => string,
): Promise<HeldOut<Item>> {
  const all = await read(data);
  if (validation.length > 0) return { training: all, heldOut: await read(validation) };
  return holdOut(all, validationShare, key);
}
