import { readdir, readFile, statfs } from "node:fs/promises";
import { join } from "node:path";
import { CheckpointError } from "../../core/errors.ts";
import { writeFileAtomic, writeFolderAtomic } from "../../files/atomic-write.ts";
import type { Check } from "./check.ts";

/** Whether files and folders can be written, replaced and read back where runs will be. */
export const diskCheck: Check = {
  name: "output folder",
  async run({ folder }) {
    const place = join(folder, "disk");
    const [file, nested] = [join(place, "file"), join(place, "folder")];
    for (const contents of ["old", "new"]) {
      await writeFileAtomic(file, contents);
      await writeFolderAtomic(nested, (partial) => writeFileAtomic(join(partial, contents), contents));
    }
    const found = { file: await readFile(file, "utf8"), nested: await readdir(nested), all: await readdir(place) };
    const expected = { file: "new", nested: ["new"], all: ["file", "folder"] };
    if (JSON.stringify(found) !== JSON.stringify(expected)) {
      throw new CheckpointError(
        `after replacing a file and a folder there is ${JSON.stringify(found)}; choose another disk`,
      );
    }
    const { bavail, bsize } = await statfs(folder);
    return `files and folders are replaced whole; ${((bavail * bsize) / 1e9).toFixed(1)} GB free`;
  },
};
