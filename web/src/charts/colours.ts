/** How many colours lines have; the next line begins again. */
const seriesCount = 6;

/** The colour of the line at a place, from 0, as a style has it. */
export function seriesColour(place: number): string {
  return `var(--series-${(place % seriesCount) + 1})`;
}

/** Colours of the page as they are now, in the form that a canvas takes: `#rrggbb`. */
export function pageColours(element: HTMLElement): {
  readonly series: readonly string[];
  readonly ink: string;
  readonly grid: string;
} {
  const probe = document.createElement("span");
  element.append(probe);
  const read = (colour: string): string => {
    probe.style.color = colour;
    return hexOf(getComputedStyle(probe).color);
  };
  const colours = {
    series: Array.from({ length: seriesCount }, (_, place) => read(seriesColour(place))),
    ink: read("var(--muted)"),
    grid: read("var(--line)"),
  };
  probe.remove();
  return colours;
}

function hexOf(colour: string): string {
  const parts = colour
    .match(/[\d.]+/g)
    ?.slice(0, 3)
    .map(Number) ?? [0, 0, 0];
  return `#${parts.map((part) => Math.round(part).toString(16).padStart(2, "0")).join("")}`;
}
