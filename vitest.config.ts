import { defineConfig } from "vitest/config";

const e2e = "test/e2e/**/*.test.ts";
const browserApp = "test/browser-app/**/*.test.ts";

/** They start processes that compute, and wait for them. */
const commands = { include: [e2e], globalSetup: ["test/e2e/build.ts"], testTimeout: 120_000 };

/** Of those, what need not run twice: it computes nothing, or what it computes is not what it is about. */
const computesNothing = [
  "build-native",
  "command-line",
  "jobs",
  "pull",
  "runs",
  "serve-app",
  "serve-hostile",
  "serve-lifecycle",
  "serve-rankings",
  "serve-refusals",
  "serve-runs",
  "serve-slots",
  "tokenizer",
  "ui",
];

/** Everything runs the sources themselves, but for `e2e`, which starts the built command as a user does; twice, with each backend. */
// biome-ignore lint/style/noDefaultExport: Vitest looks for one.
export default defineConfig({
  test: {
    setupFiles: ["test/no-console.ts"],
    projects: [
      {
        extends: true,
        test: {
          name: "sources",
          include: ["{src,test,bench,examples,recipes}/**/*.test.ts", "web/src/**/*.test.ts"],
          exclude: [e2e, browserApp],
          testTimeout: 20_000,
        },
      },
      { extends: true, test: { ...commands, name: "e2e" } },
      {
        // In the system's browser, as a person sees it.
        extends: true,
        test: {
          name: "browser-app",
          include: [browserApp],
          globalSetup: ["test/e2e/build.ts", "test/browser-app/chromium.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        // What a user has where no compiler is.
        extends: true,
        test: {
          ...commands,
          name: "e2e-reference",
          exclude: computesNothing.map((name) => `test/e2e/${name}.test.ts`),
          env: { STEMMA_BACKEND: "reference" },
        },
      },
    ],
  },
});
