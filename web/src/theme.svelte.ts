import { MediaQuery } from "svelte/reactivity";

/** How the page is to look: as the system says, or as was chosen. */
export type Theme = "system" | "light" | "dark";

const key = "stemma-theme";
const chosen = $state({ theme: stored() });
const systemIsDark = new MediaQuery("prefers-color-scheme: dark");

/** The choice, which components may show. */
export function theme(): Theme {
  return chosen.theme;
}

/** Whether the page is dark now; what draws colours itself draws them again when it changes. */
export function isDark(): boolean {
  return chosen.theme === "system" ? systemIsDark.current : chosen.theme === "dark";
}

/** Chooses, for this browser. */
export function chooseTheme(next: Theme): void {
  chosen.theme = next;
  try {
    localStorage.setItem(key, next);
  } catch {
    // A browser that keeps nothing: it holds for this page.
  }
  applyTheme();
}

/** Lets the style sheet know: `data-theme` on the document. */
export function applyTheme(): void {
  document.documentElement.dataset.theme = chosen.theme;
}

function stored(): Theme {
  try {
    const value = localStorage.getItem(key);
    return value === "light" || value === "dark" ? value : "system";
  } catch {
    return "system";
  }
}
