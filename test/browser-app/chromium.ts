import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { chromium } from "playwright-core";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    /** Where the browser that the tests share is reached; null where there is none. */
    browserEndpoint: string | null;
  }
}

const names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/** The system's Chromium or Chrome, or null. */
export function findChromium(): string | null {
  const folders = (process.env.PATH ?? "").split(delimiter).filter(Boolean);
  const paths = names.flatMap((name) => folders.map((folder) => join(folder, name)));
  return [...paths, "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"].find(isExecutable) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** How it is started: asking nobody anything by itself, and without a sandbox where the system's owner runs the tests. */
export function launchOptions(executablePath: string) {
  const isRoot = process.getuid?.() === 0;
  return {
    executablePath,
    args: ["--disable-background-networking", "--disable-component-update", "--no-first-run"],
    chromiumSandbox: !isRoot,
  };
}

/** Starts one browser for all tests, or says in one line why they are skipped. */
export async function setup({ provide }: TestProject): Promise<(() => Promise<void>) | undefined> {
  const path = findChromium();
  if (path === null) {
    process.stderr.write(
      "the browser app's tests are skipped: there is no Chromium; install it (apt install chromium)\n",
    );
    provide("browserEndpoint", null);
    return;
  }
  const server = await chromium.launchServer(launchOptions(path));
  provide("browserEndpoint", server.wsEndpoint());
  return () => server.close();
}
