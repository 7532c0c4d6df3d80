/**
 * What a terminal obeys instead of showing it: control characters other than line break and tab, among them the escape
 * that begins every command to the terminal, and the marks that let text run the other way than it is written.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const commands = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/**
 * Text of models, of data and of file names as it may be shown: `\x1b` stands for an escape, and nothing in it moves
 * the cursor, changes colours, rings or hides a part.
 */
export function printable(text: string): string {
  return text.replaceAll("\r\n", "\n").replaceAll(commands, (character) => {
    const code = character.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16)}`;
  });
}

/** JSON that means the same and has nothing in it that a terminal would obey. */
export function printableJson(json: string): string {
  return json.replaceAll(commands, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
