// The language of the page: which one, how to change it, and the words our own script says in it.

import { keep, kept } from "./store.js";

const LANGUAGE_KEY = "llmcomp-language";
const LANGUAGE_TAGS = { en: "en", ru: "ru", zh: "zh-CN" };
const LANGUAGE_EVENT = "llmcomp-language";

let current = "en";

const known = (language) => (language in LANGUAGE_TAGS ? language : null);

/** The language in force: en, ru or zh. */
export function spoken() {
  return current;
}

/** What the visitor wants: the link's language, else his choice of last time, else the browser's. */
export function wanted(search = window.location.search) {
  const linked = known(new URLSearchParams(search).get("lang"));
  const browser = (window.navigator.languages || []).map((tag) => known(tag.slice(0, 2).toLowerCase()));
  return linked || known(kept(LANGUAGE_KEY)) || browser.find(Boolean) || "en";
}

/** Speaks a language from now on; everything that is drawn is drawn again. */
export function speak(language) {
  keep(LANGUAGE_KEY, language);
  const address = new URL(window.location);
  if (address.searchParams.has("lang")) {
    address.searchParams.set("lang", language);
    window.history.replaceState(window.history.state, "", address);
  }
  return setLanguage(language);
}

/** Takes over the wanted language; returns it. */
export function setLanguage(language) {
  current = language;
  markLanguage();
  window.dispatchEvent(new Event(LANGUAGE_EVENT));
  return language;
}


/** Writes the language where readers of the screen, and the view, look for it. */
function markLanguage() {
  const tag = LANGUAGE_TAGS[current];
  if (document.documentElement.lang !== tag) document.documentElement.lang = tag;
}

/** Holds the mark: gradio writes the browser's language there, and later than this script runs. */
export function holdLanguage() {
  const options = { attributes: true, attributeFilter: ["lang"] };
  new MutationObserver(markLanguage).observe(document.documentElement, options);
}

/** A word of the page's table, with its values filled in. */
export function phrase(key, values = {}) {
  const text = window.llmcompWords[spoken()][key];
  return text.replace(/\{(\w+)(?::,)?\}/g, (_, name) => shownNumber(values[name]));
}

/** A number as the language writes it; anything else as it is. */
export function shownNumber(value) {
  return typeof value === "number" ? new Intl.NumberFormat(LANGUAGE_TAGS[spoken()]).format(value) : String(value);
}

/** A message may hold one value for each language; this is the one to show. */
export function mine(value) {
  return value && value.languages ? value.languages[spoken()] : value;
}

/** Draws a component's value now, whenever it changes, and again in every new language. */
export function keepDrawn(root, show, read, watch) {
  const draw = () => show(mine(read()));
  const again = () => {
    if (root.isConnected) draw();
    else window.removeEventListener(LANGUAGE_EVENT, again);
  };
  window.addEventListener(LANGUAGE_EVENT, again);
  watch("value", draw);
  draw();
}
