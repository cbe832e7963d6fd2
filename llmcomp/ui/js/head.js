// The head of the page: its name, its one sentence, and the switch between light and dark.

import { button, make } from "./dom.js";
import { phrase } from "./language.js";
import { isDark, setTheme } from "./theme.js";

/** Mounts the head; returns the function that draws it in the language in force. */
export function mountHead(root) {
  const draw = () => {
    const other = phrase(isDark() ? "theme_light" : "theme_dark");
    const switcher = button("he-theme", isDark() ? "☀" : "☾", other, () => setTheme(!isDark()));
    switcher.append(make("span", "he-other", ` ${other}`));
    root.replaceChildren(
      make("a", "lv-skip", phrase("skip"), { href: "#picture" }),
      make("h1", "", "llmcomp"),
      make("p", "", phrase("tagline")),
      switcher,
    );
  };
  // the theme may also be set from outside, by the settings or by the system
  new MutationObserver(draw).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  return draw;
}
