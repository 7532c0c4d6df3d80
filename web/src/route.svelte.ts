/**
 * Where one is: the part of the address behind `#`, as a path and a query. All that a page shows by choice stands there, so
 * that a refresh, a second tab and a link show the same.
 */
export interface Place {
  /** Parts of the path, decoded: `#/runs/a%2Fb` is `["runs", "a/b"]`. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
}

const current = $state<{ place: Place }>({ place: read(location.hash) });
let timer: ReturnType<typeof setTimeout> | undefined;
window.addEventListener("hashchange", () => {
  clearTimeout(timer);
  current.place = read(location.hash);
});

/** Where one is now; reading it in a component keeps that up to date. */
export function place(): Place {
  return current.place;
}

/** One value of the query, or `otherwise`. */
export function queryValue(name: string, otherwise = ""): string {
  return current.place.query.get(name) ?? otherwise;
}

/** Changes values of the query in place, without an entry in the history; null and "" take one away. */
export function setQuery(values: Readonly<Record<string, string | null>>): void {
  const query = new URLSearchParams(current.place.query);
  for (const [name, value] of Object.entries(values)) {
    if (value === null || value === "") query.delete(name);
    else query.set(name, value);
  }
  current.place = { path: current.place.path, query };
  write();
}

/** Browsers refuse an address that changes very often, as with a key that is held: it follows a moment later. */
function write(): void {
  clearTimeout(timer);
  const [before, wanted] = [location.hash, address(current.place.path, current.place.query)];
  if (before === wanted) return;
  try {
    history.replaceState(history.state, "", wanted);
  } catch {
    // Some say so, others only leave it as it is.
  }
  if (location.hash === before) timer = setTimeout(() => location.hash === before && write(), 1000);
}

/** The address of a place in the app, for a link. */
export function address(
  path: readonly string[],
  query: URLSearchParams | Readonly<Record<string, string>> = {},
): string {
  const text = new URLSearchParams(query).toString();
  return `#/${path.map(encodeURIComponent).join("/")}${text === "" ? "" : `?${text}`}`;
}

/** Goes to a place. */
export function go(path: readonly string[], query: Readonly<Record<string, string>> = {}): void {
  location.hash = address(path, query);
}

function read(hash: string): Place {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  return { path: path.split("/").filter(Boolean).map(decoded), query: new URLSearchParams(query) };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
