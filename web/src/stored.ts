const prefix = "stemma.";

/** A value that this browser keeps under a name; where there is none, or it is damaged, `otherwise` is made, and kept. */
export function readStored<Value>(storage: Storage, name: string, otherwise: () => Value): Value {
  try {
    const text = storage.getItem(prefix + name);
    if (text !== null) return JSON.parse(text) as Value;
  } catch {
    // as if there were none
  }
  const value = otherwise();
  store(storage, name, value);
  return value;
}

/** Lets the browser keep a value under a name; says whether there was room. */
export function store(storage: Storage, name: string, value: unknown): boolean {
  try {
    storage.setItem(prefix + name, JSON.stringify(value));
    return true;
  } catch {
    return false; // full, or forbidden
  }
}
