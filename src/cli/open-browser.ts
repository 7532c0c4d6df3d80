import process from "node:process";

/**
 * Shows an address in the browser of whoever sits at this machine, where there is a screen to show it on.
 *
 * @returns whether a browser was asked to. What it does then nobody tells.
 */
export async function openBrowser(url: string): Promise<boolean> {
  if (!hasScreen(process.platform, process.env)) return false;
  try {
    const { default: open } = await import("open");
    const opener = await open(url);
    opener.on("error", () => {}); // nothing to open it with: the address is printed anyway
    opener.unref();
    return true;
  } catch {
    return false;
  }
}

/** Whether there is a screen: Linux without a display server has none, and over SSH it is somebody else's. */
export function hasScreen(platform: NodeJS.Platform, environment: NodeJS.ProcessEnv): boolean {
  const { DISPLAY, WAYLAND_DISPLAY, SSH_CONNECTION, CI } = environment;
  if (CI !== undefined && CI !== "") return false;
  if (platform === "darwin" || platform === "win32") return !SSH_CONNECTION;
  return Boolean(DISPLAY || WAYLAND_DISPLAY);
}
