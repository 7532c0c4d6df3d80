import type { Component } from "svelte";

/** A page of the app. Its address begins with `path`; what follows there is the page's own. */
export interface Page {
  readonly path: string;
  readonly title: string;
  readonly group: "Talk" | "Train" | "Look inside" | "Here";
  readonly load: () => Promise<{ readonly default: Component }>;
}

/** Every page, in the order of the navigation. The first is shown where the address names none. */
export const pages: readonly Page[] = [
  { path: "chat", title: "Chat", group: "Talk", load: () => import("./pages/Chat.svelte") },
  { path: "rank", title: "Rank", group: "Talk", load: () => import("./pages/Rank.svelte") },
  { path: "runs", title: "Runs", group: "Train", load: () => import("./pages/Runs.svelte") },
  { path: "jobs", title: "Jobs", group: "Train", load: () => import("./pages/Jobs.svelte") },
  { path: "model", title: "Model", group: "Look inside", load: () => import("./pages/Model.svelte") },
  { path: "tokenizer", title: "Tokenizer", group: "Look inside", load: () => import("./pages/Tokenizer.svelte") },
  { path: "reward", title: "Reward", group: "Look inside", load: () => import("./pages/Reward.svelte") },
  { path: "server", title: "Server", group: "Here", load: () => import("./pages/Server.svelte") },
];
