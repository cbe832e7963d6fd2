// What belongs to the page and not to one view: the skip link, Esc for Stop, language, theme, links.

import { followLinks } from "./arrive.js";
import { holdLanguage, setLanguage, wanted } from "./language.js";
import { enlarge, resumeTheme } from "./theme.js";

function skipToPicture(event) {
  const link = event.target.closest && event.target.closest("a.lv-skip");
  if (!link) return;
  event.preventDefault();
  const stage = [...document.querySelectorAll(".lv-stage")].find((item) => item.clientWidth > 0);
  if (stage) stage.focus();
}

function stopOnEscape(event) {
  if (event.key !== "Escape") return;
  const stop = [...document.querySelectorAll("button.job-stop")].find((item) => item.clientWidth > 0 && !item.disabled);
  if (stop) stop.click();
}

/** Takes over what the visitor chose before, and listens, once for the whole page. */
export function openPage() {
  setLanguage(wanted());
  holdLanguage();
  resumeTheme();
  enlarge();
  followLinks();
  document.addEventListener("click", skipToPicture);
  document.addEventListener("keydown", stopOnEscape);
}
