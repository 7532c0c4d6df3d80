/** Colours of the page as they are now, in the form that a canvas takes: `#rrggbb`. */
export function pageColours(element: HTMLElement): {
  readonly series: readonly string[];
  readonly ink: string;
  readonly grid: string;
} {
  const probe = document.createElement("span");
  element.append(probe);
  const read = (name: string): string => {
    probe.style.color = `var(--${name})`;
    return hexOf(getComputedStyle(probe).color);
  };
  const colours = {
    series: [1, 2, 3, 4, 5, 6].map((place) => read(`series-${place}`)),
    ink: read("muted"),
    grid: read("line"),
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
