const storageKey = "stemma-api-key";
const waiting = $state<{ answers: ((key: string) => void)[] }>({ answers: [] });

/** The key of this tab, or null where none was needed so far. */
export function apiKey(): string | null {
  return sessionStorage.getItem(storageKey);
}

/** Whether the page is to ask for a key. */
export function keyIsAsked(): boolean {
  return waiting.answers.length > 0;
}

/** Asks for a key, once for all who wait for it. */
export function askForKey(): Promise<string> {
  return new Promise((resolve) => waiting.answers.push(resolve));
}

/** Gives the key to all who wait for it. */
export function giveKey(key: string): void {
  sessionStorage.setItem(storageKey, key);
  const { answers } = waiting;
  waiting.answers = [];
  for (const answer of answers) answer(key);
}
