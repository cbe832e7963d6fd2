// The head of the page: its name, its one sentence, and the switch between light and dark.

import { button, make } from "./dom.js";
import { word } from "./language.js";
import { isDark, setTheme } from "./theme.js";

/** Mounts the head; returns the function that draws it in the language in force. */
export function mountHead(root) {
  const draw = () => {
    const other = word(isDark() ? "theme_light" : "theme_dark");
    root.replaceChildren(
      make("a", "lv-skip", word("skip"), { href: "#picture" }),
      make("h1", "", "llmcomp"),
      make("p", "", word("tagline")),
      button("he-theme", `${isDark() ? "☀" : "☾"} ${other}`, other, () => {
        setTheme(!isDark());
        draw();
      }),
    );
  };
  // the theme may also be set from outside, by the settings or by the system
  new MutationObserver(draw).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  return draw;
}
