// The one way elements are made: text as text, never as markup.

/** An element with a class, attributes and children; strings become text nodes. */
export function make(tag, className, children = [], attributes = {}) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...[children].flat());
  return element;
}

/** A button that takes part in no form. */
export function button(className, text, name, act) {
  const element = make("button", className, text, { type: "button", "aria-label": name });
  element.addEventListener("click", act);
  return element;
}

/** Gives a button another text; what is read out starts with it and names the key. */
export function rename(item, text, key) {
  item.textContent = text;
  item.setAttribute("aria-label", key ? `${text} (${key})` : text);
}

const SVG = "http://www.w3.org/2000/svg"; // a name: nothing is fetched

/** A shape of an SVG picture with a class, attributes and text. */
export function shape(tag, className, attributes, text = "") {
  const element = document.createElementNS(SVG, tag);
  element.setAttribute("class", className);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.textContent = text;
  return element;
}
