const region = $state({ text: "" });

/** Lets screen readers say a sentence when they are done with what they say. */
export function announce(sentence: string): void {
  region.text = sentence;
}

/** What was announced last. */
export function said(): string {
  return region.text;
}
