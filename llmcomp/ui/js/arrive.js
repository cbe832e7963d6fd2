// What an address asks for when the page opens, and how the address follows the visitor.

import { linkedFile, toLink } from "./share.js";

const TABS = ["compress", "decompress", "steer"];
const PATIENCE_MS = 10_000;
const LOOK_AGAIN_MS = 50;
const NOTHING = { __type__: "update" };

let arrived = false; // before that the first tab opens by itself and must not change the address

/** What is asked for: a tab, a sample text, a file in the address. */
export function asked({ search, hash }) {
  const query = new URLSearchParams(search);
  const file = linkedFile(hash);
  const tab = TABS.includes(query.get("tab")) ? query.get("tab") : null;
  return { tab: file ? "decompress" : tab, preset: file ? null : query.get("preset"), file };
}

/** Presses a button as soon as it is there and ready. */
function pressWhenReady(find) {
  const since = performance.now();
  const look = () => {
    const found = find();
    if (found) found.click();
    else if (performance.now() - since < PATIENCE_MS) window.setTimeout(look, LOOK_AGAIN_MS);
  };
  look();
}

function pressDecode(file) {
  pressWhenReady(() => {
    const box = document.querySelector("#pasted textarea");
    return box && box.value === file ? document.querySelector("button#decode:not(:disabled)") : null;
  });
}

/** Goes where the address points; returns updates for the tabs and for the box of pasted files. */
export function arrive() {
  const { tab, preset, file } = asked(window.location);
  arrived = true;
  if (preset) pressWhenReady(() => document.getElementById(`preset-${preset}`));
  if (file) pressDecode(file);
  return [tab ? { ...NOTHING, selected: tab } : NOTHING, file || NOTHING];
}

/** Opens a file without leaving the page: its link becomes the address, and `followLinks` does the rest. */
export function openFile(base64) {
  window.history.replaceState(window.history.state, "", window.location.pathname + window.location.search);
  window.location.hash = `z=${toLink(base64)}`;
}

function typeInto(box, text) {
  box.value = text;
  box.dispatchEvent(new Event("input", { bubbles: true }));
}

/** A link that is opened while the page is open already is decoded all the same. */
export function followLinks() {
  window.addEventListener("hashchange", () => {
    const file = linkedFile(window.location.hash);
    if (!file) return;
    pressWhenReady(() => document.getElementById("tab-decompress-button"));
    pressWhenReady(() => {
      const box = document.querySelector("#pasted textarea");
      const typed = box && box.value === file;
      if (box && !typed) typeInto(box, file);
      return typed && document.querySelector("button#decode:not(:disabled)");
    });
  });
}

/** The query that leads back to where the visitor is; the first tab needs no word. */
export function queryOf(search, { tab, preset }) {
  const query = new URLSearchParams(search);
  if (tab === "compress") query.delete("tab");
  else if (tab) query.set("tab", tab);
  if (preset) query.set("preset", preset);
  if (tab && tab !== "compress") query.delete("preset");
  const text = query.toString();
  return text ? `?${text}` : "";
}

/** Writes the visitor's place into the address, so that it can be sent on. */
export function visit(place) {
  if (!arrived) return;
  const { pathname, search, hash } = window.location;
  const file = place.tab === "decompress" ? hash : ""; // elsewhere a linked file is not what is seen
  window.history.replaceState(window.history.state, "", pathname + queryOf(search, place) + file);
}
