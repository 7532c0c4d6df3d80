/** A command line to copy: words that a shell would take apart stand in quotes. */
export function shellLine(...words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(" ");
}
