// Keys of the view, in force only while it has the focus.

const PLAIN = {
  " ": "toggle",
  ArrowLeft: "back",
  ArrowRight: "forward",
  Home: "start",
  End: "end",
  "[": "slower",
  "]": "faster",
  t: "table",
  T: "table",
  "?": "help",
  Escape: "skip",
};
const SHIFTED = { ArrowLeft: "back10", ArrowRight: "forward10" };

/** What each key does, for the list behind "?". */
export const KEY_LIST = [
  ["Space", "play, pause"],
  ["← →", "one token"],
  ["Shift ← →", "ten tokens"],
  ["Home End", "start, end"],
  ["[ ]", "slower, faster"],
  ["T", "table of all tokens"],
  ["Esc", "skip to the end, close"],
  ["?", "this list"],
];

// Buttons, sliders and fields keep the keys they live by.
const OWN_KEYS = {
  BUTTON: [" ", "Enter"],
  INPUT: [" ", "ArrowLeft", "ArrowRight", "Home", "End"],
  SELECT: [" ", "ArrowLeft", "ArrowRight", "Home", "End"],
};

/** The action of a key event, or null when it belongs to someone else. */
export function actionOf(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  const tag = event.target && event.target.tagName;
  if ((OWN_KEYS[tag] || []).includes(event.key)) return null;
  return (event.shiftKey && SHIFTED[event.key]) || PLAIN[event.key] || null;
}
