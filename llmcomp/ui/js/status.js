// The status line of a job: a bar for eyes, role=progressbar and a polite line for ears.

import { make } from "./dom.js";

const ANNOUNCE_EVERY = 10; // percent; every yield would never let a listener finish a sentence

/** Draws `{text, percent, state}` into the element; state: idle, busy, done, error. */
export function mountStatus(root) {
  const fill = make("span", "st-fill");
  const track = make("div", "st-track", fill, { role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100" });
  track.setAttribute("aria-label", "progress");
  const line = make("p", "st-line");
  const voice = make("p", "lv-voice", [], { role: "status", "aria-live": "polite" });
  root.replaceChildren(track, line, voice);
  let spoken = "";
  return (value) => {
    const { text = "", percent = null, state = "idle" } = value || {};
    root.dataset.state = state;
    track.hidden = state !== "busy";
    if (percent === null) track.removeAttribute("aria-valuenow");
    else track.setAttribute("aria-valuenow", String(Math.round(percent)));
    track.setAttribute("aria-valuetext", text);
    fill.style.width = `${percent === null ? 0 : percent}%`;
    line.textContent = text;
    const mark = state === "busy" ? `${state}${Math.floor((percent || 0) / ANNOUNCE_EVERY)}` : `${state}${text}`;
    if (mark !== spoken) voice.textContent = text;
    spoken = mark;
  };
}
