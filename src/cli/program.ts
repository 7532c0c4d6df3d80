import { styleText } from "node:util";
import { Argument, CommanderError, Option, Command as Program } from "commander";
import type { Flag } from "../core/flags.ts";
import { flagsOf } from "../core/flags.ts";
import { suggestion } from "../core/nearest.ts";
import type { Command } from "./command.ts";
import { UsageError } from "./usage-error.ts";

/** What a command line asks for, before any check of the values. */
export interface Request {
  readonly command: Command;
  /** Values by settings key, as far as given on the command line. */
  readonly given: Readonly<Record<string, unknown>>;
  /** Path of the settings file, if any. */
  readonly config: string | null;
  readonly json: boolean;
}

/** Where help goes, and how it may look. */
export interface HelpOutput {
  readonly write: (text: string) => void;
  readonly hasColors: boolean;
  readonly columns: number;
}

/**
 * Reads a command line.
 *
 * @returns the request, or null when help or the version was asked for and written.
 * @throws {UsageError} for a command, flag or argument that does not exist, suggesting the nearest one.
 */
export function readCommandLine(
  argv: readonly string[],
  commands: readonly Command[],
  about: { readonly summary: string; readonly version: string },
  output: HelpOutput,
): Request | null {
  refuseUnknown(argv[0] === "help" ? argv.slice(1) : argv, commands);
  let request: Request | null = null;
  const accept = (accepted: Request): void => {
    request = accepted;
  };
  const program = new Program("stemma")
    .description(about.summary)
    .version(about.version, "-v, --version", "print the version");
  prepare(program, output).usage("<command> [--config settings.yaml] [flags]");
  program.addHelpText("after", "\nstemma <command> --help explains a command and all its flags.");
  for (const command of commands) addCommand(program, command, output, accept);
  for (const group of program.commands) {
    if (group.description() === "") group.description(group.commands.map((member) => member.name()).join(" · "));
  }
  try {
    program.parse(wantsHelp(argv) ? [...argv.slice(1), "--help"] : [...argv], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === "commander.helpDisplayed" || error.code === "commander.version") return null;
    if (error.code === "commander.help") throw new UsageError(`${wordsOf(argv)}: a second word is missing (see above)`);
    throw new UsageError(explain(error, argv, commands), { cause: error });
  }
  return request;
}

/** @throws {UsageError} for a first word that begins no command, which help would otherwise be given instead of. */
function refuseUnknown(argv: readonly string[], commands: readonly Command[]): void {
  const [first = ""] = wordsOf(argv).split(" ");
  if (first === "" || commands.some(({ name }) => name.split(" ")[0] === first)) return;
  throw new UsageError(explainUnknownCommand([first], "", commands));
}

function addCommand(program: Program, command: Command, output: HelpOutput, accept: (request: Request) => void): void {
  const words = command.name.split(" ");
  const leaf = prepare(new Program(words.at(-1)), output)
    .description(command.summary)
    .helpGroup(words.length === 1 ? `${command.group}:` : "Commands:");
  const given: Record<string, unknown> = {};
  const flags = flagsOf(command.settings);
  const positional = flags.filter((flag) => flag.isPositional);
  for (const flag of positional) leaf.addArgument(argumentOf(flag));
  for (const flag of flags) if (!flag.isPositional) addFlag(leaf, flag, given);
  leaf.optionsGroup("Every command:");
  leaf.option("--config <file>", "YAML file of settings; the command line counts more");
  leaf.option("--json", "end standard output with one JSON object");
  leaf.option("--debug", "show where in the program an error comes from");
  leaf.enablePositionalOptions(); // what follows the name of a command inside it is that command's
  leaf.addHelpOption(new Option("-h, --help", "show this help").helpGroup("Every command:"));
  leaf.usage([...positional.map(wordInUsage), "[--config settings.yaml] [flags]"].join(" "));
  if (command.examples !== undefined) {
    leaf.addHelpText("after", `\nExamples:\n${command.examples.map((example) => `  $ ${example}`).join("\n")}`);
  }
  leaf.allowExcessArguments(true).action(() => {
    if (positional.at(-1)?.isList !== true) refuseExtra(leaf.args[positional.length], command);
    for (const [i, flag] of positional.entries()) takeWords(leaf.processedArgs[i], flag, given);
    const options: { config?: string; json?: boolean } = leaf.opts();
    accept({ command, given, config: options.config ?? null, json: options.json ?? false });
  });
  const [first, second] = words;
  const parent = second === undefined ? program : groupNamed(program, first ?? "", command, output);
  parent.addCommand(leaf);
}

function wordInUsage({ placeholder, isRequired }: Flag): string {
  return isRequired ? placeholder : placeholder.replace(/^<(.*)>$/, "[$1]");
}

/** Words after the command. Whether some are missing is for the schema to say. */
function argumentOf(flag: Flag): Argument {
  return new Argument(`[${flag.name}${flag.isList ? "..." : ""}]`, explainFlag(flag));
}

/** @throws {UsageError} when there is a word that no setting takes. */
function refuseExtra(word: string | undefined, { name }: Command): void {
  if (word === undefined) return;
  const value = JSON.stringify(word);
  throw new UsageError(
    `${name}: unexpected argument ${value}; every value follows its flag; see stemma ${name} --help`,
  );
}

function takeWords(words: string | readonly string[] | undefined, flag: Flag, given: Record<string, unknown>): void {
  if (words === undefined || words.length === 0) return;
  given[flag.key] = typeof words === "string" ? flag.parse(words) : words.flatMap((word) => flag.parse(word));
}

/** The parent of two-word commands, made when first needed. A command of its own may be one too. */
function groupNamed(program: Program, name: string, command: Command, output: HelpOutput): Program {
  const existing = program.commands.find((candidate) => candidate.name() === name);
  if (existing !== undefined) return existing;
  const group = prepare(new Program(name), output).helpGroup(`${command.group}:`).usage("<command> [flags]");
  program.addCommand(group);
  return group;
}

/** Every spelling becomes an option of its own, only the first of them shown; values are gathered in order. */
function addFlag(leaf: Program, flag: Flag, given: Record<string, unknown>): void {
  const take = (text: string | null): void => {
    const value = text === null ? true : flag.parse(text);
    if (!flag.isList || !Array.isArray(value)) given[flag.key] = value;
    else given[flag.key] = [...((given[flag.key] as unknown[] | undefined) ?? []), ...value];
  };
  for (const name of [flag.name, ...flag.otherNames]) {
    const isShown = name === flag.name;
    const value = flag.isSwitch ? ` ${flag.placeholder || "[yes|no]"}` : ` ${flag.placeholder}`;
    const option = new Option(`--${name}${value}`, explainFlag(flag)).helpGroup(`${flag.group}:`).hideHelp(!isShown);
    if (flag.isSwitch && flag.defaultValue === true) option.defaultValueDescription = "yes";
    leaf.addOption(option);
    leaf.on(`option:${name}`, take);
    if (!flag.isSwitch) continue;
    leaf.addOption(new Option(`--no-${name}`).hideHelp());
    leaf.on(`option:no-${name}`, () => {
      given[flag.key] = false;
    });
  }
}

function explainFlag(flag: Flag): string {
  const { defaultValue: value, choices, placeholder } = flag;
  const areShown = choices.every((choice) => placeholder.includes(choice));
  const description = [flag.description, ...(areShown ? [] : [choices.join(", ")])].join(": ");
  if (flag.isRequired) return `${description} (required)`;
  const isTelling = value !== undefined && value !== null && value !== false && String(value) !== "";
  return isTelling ? `${description} (default: ${value === true ? "yes" : String(value)})` : description;
}

/** Settings of commander that every level needs: errors thrown, nothing written but help, our looks. */
function prepare(program: Program, output: HelpOutput): Program {
  const bold = (text: string): string => (output.hasColors ? styleText("bold", text, { validateStream: false }) : text);
  return program
    .exitOverride()
    .allowExcessArguments(false)
    .helpOption("-h, --help", "show this help")
    .helpCommand(false)
    .configureOutput({
      writeOut: output.write,
      writeErr: output.write,
      outputError: () => {},
      getOutHelpWidth: () => output.columns,
      getErrHelpWidth: () => output.columns,
    })
    .configureHelp({ styleTitle: bold, optionTerm, subcommandTerm: (command) => command.name() });
}

/** A yes or no is shown without a value, and one that is on with the form that turns it off. */
function optionTerm(option: Option): string {
  const term = option.flags.replace(/ \[yes\|no\]$/, "");
  return option.defaultValueDescription === "yes" ? term.replace("--", "--[no-]") : term;
}

/** `stemma` alone and `stemma help pretrain` ask for help too. */
function wantsHelp([first]: readonly string[]): boolean {
  return first === undefined || first === "help";
}

/** The words before the first flag. */
function wordsOf(argv: readonly string[]): string {
  const end = argv.findIndex((word) => word.startsWith("-"));
  return argv
    .slice(0, end === -1 ? argv.length : end)
    .slice(0, 2)
    .join(" ");
}

/** Turns commander's complaint into a line of ours. */
function explain(error: CommanderError, argv: readonly string[], commands: readonly Command[]): string {
  const quoted = /'([^']*)'/.exec(error.message)?.[1] ?? "";
  const words = wordsOf(argv);
  const [command] = commands
    .filter((candidate) => words === candidate.name || words.startsWith(`${candidate.name} `))
    .sort((a, b) => b.name.length - a.name.length);
  if (command === undefined) return explainUnknownCommand(words.split(" "), quoted, commands);
  const help = `; see stemma ${command.name} --help`;
  const names = flagsOf(command.settings).flatMap((flag) => [flag.name, ...flag.otherNames]);
  const known = [...names, "config", "json", "debug", "help"].map((name) => `--${name}`);
  switch (error.code) {
    case "commander.unknownOption":
      return `${command.name}: unknown flag ${quoted}${suggestion(quoted, known, help)}`;
    case "commander.optionMissingArgument":
      return `${command.name}: ${quoted.split(" ")[0]} needs a value${help}`;
    default:
      return `${command.name}: ${error.message.replace(/^error: /, "")}${help}`;
  }
}

function explainUnknownCommand(words: readonly string[], quoted: string, commands: readonly Command[]): string {
  if (words[0] === "") return `stemma: unknown flag ${quoted}; see stemma --help`;
  const names = commands.map((command) => command.name);
  const typed = words.join(" ");
  const isGroup = names.some((name) => name.startsWith(`${words[0]} `));
  const wrong = isGroup || words.length === 1 ? typed : (words[0] ?? "");
  const help = `; see stemma ${isGroup ? `${words[0]} ` : ""}--help`;
  return `stemma: unknown command ${JSON.stringify(wrong)}${suggestion(wrong, names, help)}`;
}
