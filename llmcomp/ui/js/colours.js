// Colours live in the style sheet, once for light and once for dark; here they are only read.

const NAMES = ["word", "digit", "ideal", "error", "ink", "soft", "paper", "line", "tint", "truth"];
const EDGES = [0.5, 2, 5, 9];

/** Cost class 0-4 of so many bits. */
export function costClass(bits) {
  return EDGES.filter((edge) => bits >= edge).length;
}

/** The colours in force at an element. */
export function coloursOf(element) {
  const style = getComputedStyle(element);
  const read = (name) => style.getPropertyValue(`--lv-${name}`).trim();
  const colours = Object.fromEntries(NAMES.map((name) => [name, read(name)]));
  colours.cost = [0, 1, 2, 3, 4].map((step) => read(`cost-${step}`));
  return colours;
}
