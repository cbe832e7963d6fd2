// The story in eight scenes: one caption at a time, one button to the next, nothing in the way.

import { button, make, rename } from "./dom.js";
import { say } from "./say.js";

export const SCENES = 8;

/** Hands the page's first text box to whoever wants to type: the last scene. */
export function focusYourText() {
  const boxes = [...document.querySelectorAll("textarea")];
  const box = boxes.find((item) => item.clientWidth > 0 && !item.readOnly && !item.disabled);
  if (box) box.focus();
}

/** Caption, the button to the next scene and one to each; `go(n)` plays scene n. */
export class Tour {
  constructor(go) {
    this.go = go;
    this.beat = 1;
    this.caption = make("p", "lv-caption", [], { "aria-live": "off" });
    this.onward = button("lv-button lv-onward", "", "", () => this.next());
    this.dots = Array.from({ length: SCENES }, (_, i) => this.dot(i + 1));
    const dots = make("div", "lv-dots", this.dots, { role: "group", "aria-label": say("scenes") });
    this.root = make("div", "lv-tour", [this.caption, make("div", "lv-tour-row", [dots, this.onward])]);
  }

  dot(n) {
    return button("lv-dot", "", say("scene", { n }), () => this.go(n));
  }

  next() {
    this.go((this.beat % SCENES) + 1);
  }

  /** Shows scene `beat` with its caption; `onward` names the next. */
  show(beat, caption, onward) {
    this.beat = beat;
    if (this.caption.textContent !== caption) this.caption.textContent = caption;
    if (this.onward.textContent !== onward) rename(this.onward, onward, "N");
    this.dots.forEach((dot, i) => {
      if (i + 1 === beat) dot.setAttribute("aria-current", "step");
      else dot.removeAttribute("aria-current");
    });
  }
}
