import type { Training } from "./plan/fit.ts";
import { fittingContext, refuseLargeTraining } from "./plan/fit.ts";
import type { StageEnvironment } from "./stage.ts";

/** What a stage's settings say of long rows. */
interface RowSettings {
  readonly context: number | null;
  readonly longRows: "error" | "skip" | "truncate";
}

/**
 * Reads the rows of a stage with the context that its settings name, which must fit; where they name none with what the
 * rows need, and where a step of that does not fit into memory once more with the most that does. Rows that only memory
 * has no room for are no errors: they are left out, or cut where the settings say so.
 *
 * @param read - Reads the rows and notes what became of those that are bad or long; what it has noted is not said again.
 * @param trainingOf - The largest step that they make.
 * @throws {MemoryError} when a step with the context that was asked for does not fit, or none does.
 */
export async function readFitting<Settings extends RowSettings, Data>(
  settings: Settings,
  environment: StageEnvironment,
  read: (settings: Settings, environment: StageEnvironment) => Promise<Data>,
  trainingOf: (data: Data) => Training,
): Promise<Data> {
  const said = new Set<string>();
  const note = (line: string): void => {
    if (!said.has(line)) environment.note(line);
  };
  const noteFirst = (line: string): void => {
    said.add(line);
    environment.note(line);
  };
  const data = await read(settings, { ...environment, note: noteFirst });
  if (settings.context !== null) {
    await refuseLargeTraining(trainingOf(data));
    return data;
  }
  const fitted = await fittingContext(trainingOf(data));
  if (fitted === null) return data;
  note(`${fitted.reason}; as it is, rows have ${fitted.context} tokens at most`);
  const longRows = settings.longRows === "error" ? "skip" : settings.longRows;
  return read({ ...settings, context: fitted.context, longRows }, { ...environment, note });
}
