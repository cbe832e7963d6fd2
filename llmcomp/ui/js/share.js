// A file as a link: base64 in the part of an address that browsers never send to a server.

import { button, make } from "./dom.js";
import { phrase } from "./language.js";

const LONGEST_LINK = 2000; // characters of base64; longer addresses break in mail and chat
const TOLD_MS = 1600;

/** Base64 in the letters that need no escape in an address. */
export function toLink(base64) {
  return base64.replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/** The address that holds a file. */
export function linkTo(base64, place = window.location) {
  return `${place.origin}${place.pathname}#z=${toLink(base64)}`;
}

/** The file in an address, null if there is none. */
export function linkedFile(hash) {
  const found = /^#z=([\w-]+)$/.exec(hash);
  return found ? found[1] : null;
}

async function copy(event, text) {
  const pressed = event.currentTarget;
  const name = pressed.textContent;
  try {
    await window.navigator.clipboard.writeText(text);
    pressed.textContent = phrase("copied");
  } catch {
    pressed.textContent = phrase("not_copied"); // clipboards may be refused; the link can be selected
  }
  window.setTimeout(() => {
    pressed.textContent = name;
  }, TOLD_MS);
}

function copier(key, text) {
  return button("lv-button", phrase(key), phrase(key), (event) => copy(event, text));
}

function linkRow(blob) {
  const link = linkTo(blob);
  const shown = make("input", "sh-link", [], { type: "text", readonly: "", "aria-label": phrase("share_title") });
  shown.value = link;
  shown.addEventListener("focus", () => shown.select());
  return make("div", "sh-row", [shown, copier("copy_link", link), copier("copy_base64", blob)]);
}

/** Mounts the sharing of a file; returns the function that shows `{blob, size}`, or nothing. */
export function mountShare(root) {
  return (file) => {
    root.hidden = !file;
    if (!file) return root.replaceChildren();
    const { blob, size } = file;
    const fits = blob && toLink(blob).length <= LONGEST_LINK;
    const said = fits ? phrase("share_what") : phrase(blob ? "share_long" : "share_file", { n: size });
    const rest = blob && !fits ? [make("div", "sh-row", copier("copy_base64", blob))] : [];
    return root.replaceChildren(
      make("h2", "", phrase("share_title")),
      make("p", "", said),
      ...(fits ? [linkRow(blob)] : rest),
    );
  };
}
