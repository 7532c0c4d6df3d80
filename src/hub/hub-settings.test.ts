import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { hubSettings } from "./hub-settings.ts";

test("the environment is read as huggingface_hub reads it", async () => {
  const home = mkdtempSync(join(tmpdir(), "stemma-hub-"));
  onTestFinished(() => rmSync(home, { recursive: true }));
  writeFileSync(join(home, "token"), "from-file\n");
  const usual = { endpoint: "https://huggingface.co", token: "from-file", cache: join(home, "hub"), isOffline: false };
  expect(await hubSettings({ HF_HOME: home })).toEqual(usual);
  expect(await hubSettings({ HF_HOME: home, HF_TOKEN: " own ", HF_HUB_CACHE: "/c", HF_HUB_OFFLINE: "1" })).toEqual({
    ...{ ...usual, token: "own", cache: "/c", isOffline: true },
  });
  expect((await hubSettings({ XDG_CACHE_HOME: "/x" })).cache).toBe("/x/huggingface/hub");
  expect((await hubSettings({ HF_HOME: "~/own", HF_TOKEN_PATH: "/none" })).cache).toBe(join(homedir(), "own/hub"));
  expect(await hubSettings({ HF_HOME: join(home, "none"), HF_ENDPOINT: "http://mirror:8080/hf/" })).toMatchObject({
    ...{ endpoint: "http://mirror:8080/hf", token: null },
  });
});

test("an address or a token that is none is refused", async () => {
  await expect(hubSettings({ HF_HOME: "/none", HF_ENDPOINT: "huggingface.co" })).rejects.toThrow(
    'HF_ENDPOINT: "huggingface.co" is no address of a server; write https://host, or unset it',
  );
  await expect(hubSettings({ HF_HOME: "/none", HF_TOKEN: "a\nb" })).rejects.toThrow(
    "HF_TOKEN: has spaces or characters that no token has; copy the token again, or remove it",
  );
});
