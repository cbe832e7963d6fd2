// Light and dark: the system's choice until the visitor makes one. And the size of everything.

import { keep, kept } from "./store.js";

const THEME_KEY = "llmcomp-theme";

export const isDark = () => document.body.classList.contains("dark");

/** Shows a theme from now on. */
export function setTheme(dark) {
  document.body.classList.toggle("dark", dark);
  keep(THEME_KEY, dark ? "dark" : "light");
}

/** Shows the theme of last time; a link that names one goes before it. */
export function resumeTheme() {
  const chosen = kept(THEME_KEY);
  if (chosen && !new URLSearchParams(window.location.search).has("__theme")) {
    document.body.classList.toggle("dark", chosen === "dark");
  }
}

/** A link with `big=1` is for a room: everything 1.4 times as large. */
export function enlarge() {
  const wanted = new URLSearchParams(window.location.search).get("big") === "1";
  document.documentElement.classList.toggle("big", wanted);
}
