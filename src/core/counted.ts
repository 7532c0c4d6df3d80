/** A number with its noun, as messages say it: `1 row`, `2 rows`, `1,500 rows`. */
export function counted(number: number, noun: string, nouns = `${noun}s`): string {
  return `${number.toLocaleString("en-US")} ${number === 1 ? noun : nouns}`;
}
