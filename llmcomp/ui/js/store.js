// What a visitor's own browser remembers. Local storage is refused in some embedded pages: then nothing is.

/** The value kept under a name, or null. */
export function recall(name) {
  try {
    return window.localStorage.getItem(name);
  } catch {
    return null;
  }
}

/** Keeps a value, if the browser lets us. */
export function remember(name, value) {
  try {
    window.localStorage.setItem(name, value);
  } catch {
    // the choice holds for this page only
  }
}
