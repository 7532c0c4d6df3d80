/** Characters that one does not see, or that turn what is beside them around. */
const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}]/gu;

/** A token's text with all of it to be seen: a space as `·`, a line's end as `↵`, what has no shape by its number. */
export function visible(text: string): string {
  const shown = text
    .replaceAll(" ", "·")
    .replaceAll("\n", "↵")
    .replaceAll("\t", "⇥")
    .replace(unseen, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
  return shown === "" ? "∅" : shown;
}

/** What a screen reader says of a token. */
export function spoken(text: string): string {
  const known: Record<string, string> = { " ": "space", "\n": "line end", "\t": "tab", "": "nothing" };
  return known[text] ?? visible(text).replaceAll("·", " ").trim();
}
