import { open, readdir } from "node:fs/promises";
import { join } from "node:path";

/** Makes what was written to a file survive a power cut. */
export async function flushFile(path: string): Promise<void> {
  await flush(path, "r+");
}

/** Makes the names in a folder survive a power cut. Windows neither allows nor needs it. */
export async function flushFolder(folder: string): Promise<void> {
  if (process.platform !== "win32") await flush(folder, "r");
}

/** Makes a folder with all that is in it survive a power cut. */
export async function flushTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await flushTree(path);
    else if (entry.isFile()) await flushFile(path);
  }
  await flushFolder(folder);
}

async function flush(path: string, flags: "r" | "r+"): Promise<void> {
  const file = await open(path, flags);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
