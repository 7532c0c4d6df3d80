/**
 * Where the arrow keys lead in a row of so many items: one has the focus of all, the others are reached from it. Null for
 * any other key.
 */
export function along(key: string, at: number, length: number): number | null {
  switch (key) {
    case "ArrowLeft":
    case "ArrowUp":
      return Math.max(0, at - 1);
    case "ArrowRight":
    case "ArrowDown":
      return Math.min(length - 1, at + 1);
    case "Home":
      return 0;
    case "End":
      return length - 1;
    default:
      return null;
  }
}
