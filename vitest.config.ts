import { defineConfig } from "vitest/config";

const e2e = "test/e2e/**/*.test.ts";

/** Everything runs the sources themselves, but for `e2e`, which starts the built command as a user does. */
// biome-ignore lint/style/noDefaultExport: Vitest looks for one.
export default defineConfig({
  test: {
    setupFiles: ["test/no-console.ts"],
    projects: [
      {
        extends: true,
        test: {
          name: "sources",
          include: ["{src,test,bench,examples,recipes}/**/*.test.ts"],
          exclude: [e2e],
          testTimeout: 20_000,
        },
      },
      {
        extends: true,
        test: {
          name: "e2e",
          include: [e2e],
          globalSetup: ["test/e2e/build.ts"],
          testTimeout: 120_000,
        },
      },
    ],
  },
});
