// What stays in the visitor's own browser. Embedded pages may be refused a store: then nothing stays.

/** Reads what was kept under a name, null if nothing was. */
export function kept(name) {
  try {
    return window.localStorage.getItem(name);
  } catch {
    return null;
  }
}

/** Keeps a text under a name; says whether that worked. */
export function keep(name, text) {
  try {
    window.localStorage.setItem(name, text);
    return true;
  } catch {
    return false;
  }
}

/** Forgets what was kept under a name. */
export function forget(name) {
  try {
    window.localStorage.removeItem(name);
  } catch {
    // nothing was kept
  }
}
