import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

/** Plain files under names with hashes, which ask for nothing of another place and need no script or style in the page. */
// biome-ignore lint/style/noDefaultExport: Vite looks for one.
export default defineConfig({
  root: import.meta.dirname,
  base: "./",
  plugins: [svelte()],
  build: {
    target: "es2023",
    outDir: "../dist/web",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: { proxy: Object.fromEntries(["/api", "/v1", "/health", "/metrics"].map((path) => [path, server()])) },
});

/** While the app is written: a `stemma serve` that answers what it asks. */
function server(): string {
  return process.env.STEMMA_SERVER ?? "http://127.0.0.1:8000";
}
