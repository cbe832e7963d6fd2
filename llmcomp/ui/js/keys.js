// Keys of the view, in force only while it has the focus.

import { say } from "./say.js";

const PLAIN = {
  " ": "toggle",
  ArrowLeft: "back",
  ArrowRight: "forward",
  ArrowUp: "candidateUp",
  ArrowDown: "candidateDown",
  Enter: "whatIf",
  Home: "start",
  End: "end",
  "[": "slower",
  "]": "faster",
  b: "bytes",
  c: "carry",
  d: "number",
  m: "machine",
  n: "next",
  q: "questions",
  t: "table",
  x: "damage",
  "?": "help",
  Escape: "skip",
};
const SHIFTED = { ArrowLeft: "back10", ArrowRight: "forward10" };

/** What each key does, for the list behind "?": `[keys, words]`. */
export function keyList() {
  return say("keyList").split(";").map((line) => line.split(/:(.*)/s).slice(0, 2));
}

// Buttons, sliders and fields keep the keys they live by.
const OWN_KEYS = {
  BUTTON: [" ", "Enter"],
  INPUT: [" ", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"],
  SELECT: [" ", "Enter", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"],
};

/** The action of a key event, or null when it belongs to someone else. */
export function actionOf(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  const tag = event.target && event.target.tagName;
  if ((OWN_KEYS[tag] || []).includes(event.key)) return null;
  return (event.shiftKey && SHIFTED[event.key]) || PLAIN[event.key.length === 1 ? event.key.toLowerCase() : event.key] || null;
}
