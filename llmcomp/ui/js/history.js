// The visitor's files, kept in this browser and nowhere else.

import { openFile } from "./arrive.js";
import { button, make } from "./dom.js";
import { phrase } from "./language.js";
import { forget, keep, kept } from "./store.js";

const HISTORY_KEY = "llmcomp-files";
const LONGEST_HISTORY = 12;

/** The list with a file on top: every file once, the oldest beyond so many forgotten. */
export function withFile(files, file) {
  const others = files.filter((other) => other.blob !== file.blob);
  return [{ name: file.name, raw: file.raw, size: file.size, blob: file.blob }, ...others].slice(0, LONGEST_HISTORY);
}

/** Reads a kept list; whatever is no list of files is an empty one. */
export function readFiles(text) {
  try {
    const files = JSON.parse(text || "[]");
    const whole = (file) => file && typeof file.name === "string" && typeof file.blob === "string";
    return Array.isArray(files) ? files.filter(whole) : [];
  } catch {
    return [];
  }
}

function saveFile(file) {
  const bytes = Uint8Array.from(window.atob(file.blob), (letter) => letter.charCodeAt(0));
  const address = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
  make("a", "", [], { href: address, download: file.name }).click();
  window.setTimeout(() => URL.revokeObjectURL(address), 0);
}

function fileRow(file) {
  return make("li", "hi-file", [
    make("bdi", "hi-name", file.name),
    make("span", "hi-sizes", phrase("history_sizes", { raw: file.raw, size: file.size })),
    button("lv-button", phrase("history_open"), `${phrase("history_open")}: ${file.name}`, () => openFile(file.blob)),
    button("lv-button", phrase("history_save"), `${phrase("history_save")}: ${file.name}`, () => saveFile(file)),
  ]);
}

/** Mounts the list; returns the function that adds a finished file, if there is one, and draws it. */
export function mountHistory(root) {
  const draw = (limit) => {
    const files = readFiles(kept(HISTORY_KEY));
    const clear = button("lv-button", phrase("history_clear"), phrase("history_clear"), () => {
      forget(HISTORY_KEY);
      draw(limit);
    });
    root.replaceChildren(
      make("h2", "", phrase("history_title")),
      make("p", "", files.length ? phrase("history_what", { limit }) : phrase("history_empty")),
      ...(files.length ? [make("ul", "hi-files", files.map(fileRow)), clear] : []),
    );
  };
  return (file) => {
    if (file.blob) keep(HISTORY_KEY, JSON.stringify(withFile(readFiles(kept(HISTORY_KEY)), file)));
    draw(file.limit);
  };
}
