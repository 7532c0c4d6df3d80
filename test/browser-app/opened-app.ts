import axe from "axe-core";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { chromium } from "playwright-core";
import { inject, test as plainTest } from "vitest";
import type { RunningServer } from "../e2e/running-server.ts";

const endpoint = inject("browserEndpoint");

/** A test that is skipped where there is no browser. */
export const test: ReturnType<typeof plainTest.skipIf> = plainTest.skipIf(endpoint === null);

/** Every size and colour that a page is looked at in. */
const looks = [
  { colorScheme: "light", width: 1280, height: 800 },
  { colorScheme: "dark", width: 1280, height: 800 },
  { colorScheme: "light", width: 360, height: 740 },
] as const;

const connection: { browser: Promise<Browser> | null } = { browser: null };

/** How a page is opened. */
export interface OpenOptions {
  /** Complaints that are meant to come, such as a refused request's. */
  readonly expected?: RegExp;
  /** With the storage of another page: a second tab. */
  readonly beside?: OpenedApp;
}

/** The app in a browser. What it does that it must not is noted, and fails the test in {@link OpenedApp.close}. */
export class OpenedApp {
  readonly page: Page;
  /** Errors of the console and of scripts, breaches of the content security policy, requests to other places. */
  readonly complaints: string[] = [];
  readonly #context: BrowserContext;
  readonly #url: string;

  private constructor(context: BrowserContext, page: Page, url: string, { expected }: OpenOptions) {
    this.page = page;
    this.#context = context;
    this.#url = url;
    const complain = (text: string): void => {
      if (expected?.test(text) !== true) this.complaints.push(text);
    };
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") complain(message.text());
    });
    page.on("pageerror", (error) => complain(`script: ${error.message}`));
    page.on("dialog", (dialog) => {
      complain(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on("request", (request) => {
      const { origin, protocol } = new URL(request.url());
      if (origin !== url && protocol !== "data:" && protocol !== "blob:") complain(`request to ${request.url()}`);
    });
  }

  /** Opens a place of the app, such as `#/runs`, and waits until it has its heading. */
  static async open(server: RunningServer, hash: string, options: OpenOptions = {}): Promise<OpenedApp> {
    connection.browser ??= chromium.connect(endpoint ?? "");
    const browser = await connection.browser;
    const { beside } = options;
    const context = beside
      ? beside.#context
      : await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: "reduce" });
    const app = new OpenedApp(context, await context.newPage(), server.url, options);
    await app.go(hash);
    return app;
  }

  /** Goes to a place of the app by its whole address, as a link in a message does. */
  async go(hash: string): Promise<void> {
    await this.page.goto(`${this.#url}/${hash}`);
    await this.page.getByRole("heading", { level: 1 }).first().waitFor();
  }

  /**
   * Looks at the page as it is now, for everyone: in light and dark, and on a telephone.
   *
   * @returns what axe finds, and how far the page is wider than a telephone; nothing where all is well.
   */
  async faults(): Promise<string[]> {
    const faults: string[] = [];
    const size = this.page.viewportSize() ?? { width: 1280, height: 800 };
    await this.page.evaluate(axe.source);
    for (const { colorScheme, width, height } of looks) {
      await this.page.emulateMedia({ colorScheme });
      await this.page.setViewportSize({ width, height });
      const look = `${colorScheme}, ${width} px`;
      faults.push(...(await this.page.evaluate(findWithAxe)).map((fault) => `${look}: ${fault}`));
      const wide = await this.page.evaluate<number>("document.documentElement.scrollWidth - innerWidth");
      if (wide > 0) faults.push(`${look}: the page is ${wide} px too wide`);
    }
    await this.page.emulateMedia({ colorScheme: null });
    await this.page.setViewportSize(size);
    return faults;
  }

  /** Closes the page. @throws {Error} with all complaints, where there are some. */
  async close(): Promise<void> {
    await this.page.close();
    if (this.#context.pages().length === 0) await this.#context.close();
    if (this.complaints.length > 0) throw new Error(`the page complained:\n${this.complaints.join("\n")}`);
  }
}

/** Runs in the page, which has axe. */
async function findWithAxe(): Promise<string[]> {
  const own = (globalThis as unknown as { axe: typeof axe }).axe;
  const { violations } = await own.run({ resultTypes: ["violations"] });
  return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(" · ")}`);
}
