/** A name that nothing else has: 32 hexadecimal digits. `crypto.randomUUID` is missing where the page is not from this machine. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
