/** A colour on white, and the one that takes its place on a dark page. */
interface Shade {
  readonly light: string;
  readonly dark: string;
}

/** Colours of lines, told apart by people who do not see red or green: after Okabe and Ito (2008), darkened for thin lines. */
const lineShades: readonly Shade[] = [
  { light: "#0a62b0", dark: "#6fb4f2" },
  { light: "#c4510a", dark: "#f5a05a" },
  { light: "#00795a", dark: "#4fd1a8" },
  { light: "#a3437f", dark: "#ec9dcb" },
  { light: "#7a6a00", dark: "#e6d84c" },
  { light: "#4b4f9e", dark: "#a9aef5" },
];

const ink: Shade = { light: "#1f2328", dark: "#e3e7ec" };
const page: Shade = { light: "#ffffff", dark: "#15181d" };

/** Room around everything, in pixels. */
const padding = 12;

/** The colour of line number `index`; from the seventh on they come again. */
export function lineColour(index: number): string {
  return lineShades[index % lineShades.length]?.light ?? ink.light;
}

/**
 * Puts drawings below each other into one SVG document, with a background, and colours that follow the page that shows
 * it: `prefers-color-scheme` turns each light colour into its dark one.
 */
export function svgDocument(
  width: number,
  parts: readonly { readonly svg: string; readonly height: number }[],
): string {
  const [wide, height] = [width + 2 * padding, parts.reduce((sum, part) => sum + part.height, 2 * padding)];
  let top = padding;
  const placed = parts.map((part) => {
    const group = `<g transform="translate(${padding},${top})">${part.svg}</g>`;
    top += part.height;
    return group;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${wide}" height="${height}" viewBox="0 0 ${wide} ${height}" color="${ink.light}">`,
    `<style>${darkRules()}</style>`,
    `<rect width="${wide}" height="${height}" fill="${page.light}"/>`,
    ...placed,
    "</svg>\n",
  ].join("\n");
}

function darkRules(): string {
  const rules = [...lineShades, page].flatMap(({ light, dark }) => [
    `[fill="${light}"]{fill:${dark}}`,
    `[stroke="${light}"]{stroke:${dark}}`,
  ]);
  return `@media (prefers-color-scheme: dark){svg{color:${ink.dark}}${rules.join("")}}`;
}
