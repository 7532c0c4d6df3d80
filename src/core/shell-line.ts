/** A command line to copy: words that a shell would take apart stand in quotes. */
export function shellLine(...words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(" ");
}

/** A flag with its value, as words of a command line: a value that looks like a flag is joined to its own. */
export function flagWords(name: string, value: string): readonly string[] {
  return value.startsWith("-") ? [`--${name}=${value}`] : [`--${name}`, value];
}
