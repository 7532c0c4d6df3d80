import { homedir } from "node:os";
import { join } from "node:path";

/**
 * A path whose `~` at the beginning is the user's home folder. Shells put it there only where the word begins with it:
 * not in `--data=~/text`, not between quotes, and never in a settings file.
 */
export function expandHome(path: string): string {
  return /^~(?=$|[\\/])/.test(path) ? join(homedir(), path.slice(1)) : path;
}
