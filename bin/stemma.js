#!/usr/bin/env node
/**
 * The command's entry. In a checkout it first brings dependencies, addon and compiled sources up to date; an installed
 * package has them.
 */
import { existsSync } from "node:fs";

const at = (path) => new URL(`../${path}`, import.meta.url);

try {
  if (existsSync(at("src")) && existsSync(at("tsconfig.build.json"))) {
    const { bootstrap } = await import(at("scripts/bootstrap.mjs"));
    await bootstrap();
  }
} catch (error) {
  process.stderr.write(`stemma: ${error.message}\n`);
  process.exit(1);
}

const { followShell, holdSignals } = await import(at("dist/cli/early-stop.js"));
holdSignals();
followShell(process.env);
const { main } = await import(at("dist/cli/main.js"));
process.exitCode = await main(process.argv.slice(2));
