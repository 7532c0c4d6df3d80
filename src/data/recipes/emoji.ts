import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readWithSharp } from "../../images/sharp.ts";
import { documentHash } from "../split.ts";
import { packageFolder } from "./package-file.ts";
import type { PictureRecipe } from "./picture-recipe.ts";

/** Sets of drawings that are learned from; two names of one artist's set must not be on both sides. */
const trainedArtists = ["twemoji", "openmoji", "noto", "noto-v1", "emojione", "emojione-v1", "fxemoji"];
/** The set that is unlike all others. */
const heldOutArtist = "fluent-emoji-flat";

/** Side of a drawing in pixels. */
const side = 64;

/** An emoji as `emojibase-data` describes it. */
interface Emoji {
  readonly label: string;
  readonly hexcode: string;
  readonly tags?: readonly string[];
  readonly group?: number;
}

/** A set of drawings as `@iconify-json` keeps it. */
interface IconSet {
  readonly icons: Readonly<Record<string, Icon>>;
  readonly aliases?: Readonly<Record<string, { readonly parent: string }>>;
  readonly left?: number;
  readonly top?: number;
  readonly width?: number;
  readonly height?: number;
}

interface Icon extends Pick<IconSet, "left" | "top" | "width" | "height"> {
  readonly body: string;
}

/**
 * Emoji as eight artists draw them, with names and categories. Test: all drawings of one artist, who is in no training
 * set. One emoji in ten is not shown in training at all; its rows of the test say so (`shown`).
 */
export const emoji: PictureRecipe = {
  name: "emoji",
  summary:
    "emoji by seven artists with names; an eighth to test on (@iconify-json, emojibase-data: see their licences)",
  stage: "clip",
  async *pictures() {
    const all = readEmoji();
    for (const artist of [...trainedArtists, heldOutArtist]) {
      const set = readSet(artist);
      const part = artist === heldOutArtist ? "test" : "train";
      for (const { hexcode, keys, row } of all) {
        const shown = documentHash(1, row.text) >= 0.1 * 2 ** 32;
        const svg = part === "test" || shown ? drawing(set, keys) : null;
        if (svg === null) continue;
        const picture = await readWithSharp(new TextEncoder().encode(svg), { name: `${artist} ${hexcode}` });
        const path = `${artist}/${hexcode.toLowerCase()}.png`;
        yield { part, path, picture, row: { ...row, artist, ...(part === "test" && { shown }) } };
      }
    }
  },
};

interface NamedEmoji {
  readonly hexcode: string;
  /** Names under which sets may keep it, in order. */
  readonly keys: Keys;
  readonly row: {
    readonly text: string;
    readonly texts: readonly string[];
    readonly tags: readonly string[];
    readonly category: string;
  };
}

interface Keys {
  readonly code: string;
  readonly slugs: readonly string[];
}

function readJson<Contents>(packageName: string, file: string): Contents {
  return JSON.parse(readFileSync(join(packageFolder(packageName), file), "utf8")) as Contents;
}

function readEmoji(): NamedEmoji[] {
  const all = readJson<Emoji[]>("emojibase-data", "en/data.json");
  const { groups } = readJson<{ groups: Record<string, string> }>("emojibase-data", "meta/groups.json");
  const sets = ["github", "iamcal", "joypixels", "emojibase"].map((name) =>
    readJson<Record<string, string | string[]>>("emojibase-data", `en/shortcodes/${name}.json`),
  );
  return all
    .filter(({ group }) => group !== undefined)
    .map(({ label, hexcode, tags = [], group }) => {
      const shortNames = [...new Set(sets.flatMap((codes) => codes[hexcode] ?? []))];
      const slugs = [label, ...shortNames].map(slugOf);
      const texts = [...new Set([label, ...shortNames].map(words))];
      return {
        hexcode,
        keys: {
          code: plainCode(hexcode),
          slugs: [...new Set(slugs.flatMap((slug) => [slug, slug.replaceAll("-", "")]))],
        },
        row: { text: words(label), texts, tags, category: groups[String(group)] ?? "" },
      };
    });
}

/** A code point sequence without the selector of emoji presentation, which some sets leave out. */
function plainCode(hexcode: string): string {
  return hexcode.toLowerCase().replaceAll(/-?fe0f/g, "");
}

function words(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[_-]/g, " ")
    .replaceAll(/[“”’:,.!()&]/g, "")
    .replaceAll(/\s+/g, " ")
    .trim();
}

function slugOf(name: string): string {
  return words(name)
    .normalize("NFD")
    .replaceAll(/\p{M}/gu, "")
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "");
}

/** A set's icons, and which of them is which code. */
interface OpenSet {
  readonly set: IconSet;
  readonly byCode: ReadonlyMap<string, string>;
}

function readSet(artist: string): OpenSet {
  const name = `@iconify-json/${artist}`;
  const codes = readJson<Record<string, string>>(name, "chars.json");
  const byCode = new Map(Object.entries(codes).map(([code, icon]) => [plainCode(code), icon]));
  return { set: readJson<IconSet>(name, "icons.json"), byCode };
}

/** The drawing of an emoji as an SVG file; null where the set has none. */
function drawing({ set, byCode }: OpenSet, { code, slugs }: Keys): string | null {
  const { icons, aliases = {} } = set;
  const names = [byCode.get(code) ?? "", ...(byCode.size > 0 ? [] : slugs)];
  const found = names
    .map((name) => icons[name] ?? icons[aliases[name]?.parent ?? ""])
    .find((icon) => icon !== undefined);
  if (!found) return null;
  const { left = 0, top = 0, width = 16, height = 16 } = { ...set, ...found };
  const box = `${left} ${top} ${width} ${height}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="${box}" width="${side}" height="${side}">${found.body}</svg>`;
}
