import { readdir, readFile, readlink } from "node:fs/promises";

/**
 * Who listens on a port of this machine, as far as the system tells: `process 4711 (node server.js)`. Null where it does
 * not: on other systems than Linux, or for processes of others.
 */
export async function portOwner(port: number): Promise<string | null> {
  const sockets = new Set([...(await listening("/proc/net/tcp", port)), ...(await listening("/proc/net/tcp6", port))]);
  if (sockets.size === 0) return null;
  for (const pid of await numbersIn("/proc")) {
    for (const descriptor of await numbersIn(`/proc/${pid}/fd`)) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => "");
      if (sockets.has(target)) return `process ${pid} (${await commandOf(pid)})`;
    }
  }
  return null;
}

/** Sockets that listen on a port, as links of descriptors name them. */
async function listening(table: string, port: number): Promise<string[]> {
  const text = await readFile(table, "utf8").catch(() => "");
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return text.split("\n").flatMap((line) => {
    const [, local = "", , state, , , , , , inode] = line.trim().split(/\s+/);
    return local.endsWith(wanted) && state === listenState ? [`socket:[${inode}]`] : [];
  });
}

/** `TCP_LISTEN` */
const listenState = "0A";

async function numbersIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).filter((name) => /^\d+$/.test(name));
}

async function commandOf(pid: string): Promise<string> {
  const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  const words = line.split("\0").filter((word) => word !== "");
  const shown = words.join(" ");
  return shown.length > 80 ? `${shown.slice(0, 79)}…` : shown;
}
