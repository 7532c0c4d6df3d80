/**
 * Pictures of every page of a running app, in light and dark, on a desk and on a telephone, to be looked at:
 *
 *     npx tsx test/browser-app/screenshots.ts http://127.0.0.1:8000 pictures [#/runs/some …]
 *
 * Without places it takes those of the navigation.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import type { Page } from "playwright-core";
import { chromium } from "playwright-core";
import { findChromium, launchOptions } from "./chromium.ts";

const [url = "", folder = "", ...given] = process.argv.slice(2);
const path = findChromium();
if (url === "" || folder === "" || path === null) {
  throw new Error("give the address of a server and a folder for pictures; a Chromium has to be installed");
}
mkdirSync(folder, { recursive: true });
const browser = await chromium.launch(launchOptions(path));
try {
  for (const colorScheme of ["light", "dark"] as const) {
    for (const [width, height] of [
      [1280, 800],
      [360, 740],
    ] as const) {
      const context = await browser.newContext({ colorScheme, viewport: { width, height }, reducedMotion: "reduce" });
      const page = await context.newPage();
      for (const place of given.length > 0 ? given : await placesOf(page)) {
        await page.goto(`${url}/${place}`);
        await page.reload();
        await page.getByRole("heading", { level: 1 }).first().waitFor();
        await page.waitForTimeout(1500); // charts are drawn, first answers are there
        const name = place.replaceAll(/[^\w]+/g, "-").replaceAll(/^-+|-+$/g, "") || "start";
        await page.screenshot({ path: join(folder, `${name}-${colorScheme}-${width}.png`), fullPage: width < 1000 });
      }
      await context.close();
    }
  }
} finally {
  await browser.close();
}

/** Places that the navigation names. */
async function placesOf(page: Page): Promise<string[]> {
  await page.goto(url);
  const links = await page.locator("nav a[href^='#/']").all();
  return Promise.all(links.map(async (link) => (await link.getAttribute("href")) ?? "#/"));
}
