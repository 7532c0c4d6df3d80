import { flagProblem } from "../core/flag-problem.ts";
import type { Flag } from "../core/flags.ts";
import { flagsOf, nameOf } from "../core/flags.ts";
import { expandHome } from "../files/home-path.ts";
import type { HubIo } from "./hub-models.ts";
import { withHubModels } from "./hub-models.ts";
import type { Request } from "./program.ts";
import { readSettingsFile } from "./settings-file.ts";
import { UsageError } from "./usage-error.ts";

/**
 * The settings that a request resolves to: command line over `--config` over what an earlier run left over defaults.
 * Models of the hub are fetched, if they are not there yet, and are folders from here on.
 *
 * @throws {UsageError} in one line that names each wrong setting as the user wrote it, its value and what is allowed.
 */
export async function resolveSettings(
  { command, given, config }: Request,
  io: HubIo,
): Promise<Record<string, unknown>> {
  const flags = flagsOf(command.settings);
  const filed = config === null ? {} : readSettingsFile(expandHome(config), flags, command.name);
  const asked = await withHubModels(withHome({ ...filed, ...given }, flags), flags, io);
  const remembered = (await command.remembered?.(asked)) ?? null;
  const merged = await withHubModels({ ...remembered?.settings, ...asked }, flags, io);
  const result = command.settings.safeParse(merged);
  if (result.success) return result.data;
  const label = (key: string): string => {
    if (key in filed && !(key in given)) return `${key} in ${config}`;
    const isRemembered = remembered !== null && key in remembered.settings && !(key in given);
    if (isRemembered) return `${key} in ${remembered.path}`;
    const flag = flags.find((candidate) => candidate.key === key);
    return flag === undefined ? key : nameOf(flag);
  };
  const problems = result.error.issues.map((issue) => flagProblem(issue, merged, flags, label));
  throw new UsageError(`${command.name}: ${[...new Set(problems)].join("; also ")}`);
}

function withHome(values: Readonly<Record<string, unknown>>, flags: readonly Flag[]): Record<string, unknown> {
  const expand = (value: unknown): unknown => {
    if (typeof value === "string") return expandHome(value);
    return Array.isArray(value) ? value.map(expand) : value;
  };
  const paths = flags.filter(({ key, isPath }) => isPath && key in values);
  return { ...values, ...Object.fromEntries(paths.map(({ key }) => [key, expand(values[key])])) };
}
