import { format } from "node:util";
import { afterEach, vi } from "vitest";

/** Console methods that print. */
const methods = ["debug", "error", "info", "log", "trace", "warn"] as const;
const printed: string[] = [];

for (const method of methods) {
  vi.spyOn(console, method).mockImplementation((...values: unknown[]) => {
    printed.push(`console.${method}: ${format(...values)}`);
  });
}

/** A library that prints disturbs every program that uses it, so a test in which something prints fails. */
afterEach(() => {
  const lines = printed.splice(0);
  if (lines.length > 0) throw new Error(`console output in a test; only the command line prints:\n${lines.join("\n")}`);
});
