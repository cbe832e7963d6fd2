// How deep to look: five floors, each with one sentence; the choice is remembered on this machine.

import { make } from "./dom.js";
import { showLadder } from "./ladder.js";
import { helperSentence, showMachine } from "./machine.js";
import { say } from "./say.js";
import { keep, kept } from "./store.js";

const FLOOR_KEY = "llmcomp-floor";
export const FLOORS = { picture: 0, word: 1, questions: 2, helper: 3, machine: 4 };

/** The floor remembered, the picture if there is none. */
export function rememberedFloor() {
  const floor = Number(kept(FLOOR_KEY));
  return Number.isInteger(floor) && floor >= 0 && floor <= FLOORS.machine ? floor : FLOORS.picture;
}

/** Buttons for the floors and the panel below them; `change(floor)` is told of a choice. */
export class Floors {
  constructor(change) {
    this.change = change;
    this.floor = rememberedFloor();
    this.buttons = Object.values(FLOORS).map((floor) => this.button(floor));
    this.says = make("p", "lv-floor-says");
    this.panel = make("div", "lv-floor-panel");
    this.root = make("section", "lv-floors", [
      make("div", "lv-floor-row", this.buttons, { role: "group", "aria-label": say("depth") }),
      this.says,
      this.panel,
    ]);
  }

  button(floor) {
    const item = make("button", "lv-button lv-floor", say(`floor${floor}`), { type: "button" });
    item.addEventListener("click", () => this.go(floor));
    return item;
  }

  /** Goes to a floor; asked for the one in force, back to the picture. */
  go(floor) {
    this.floor = floor === this.floor ? FLOORS.picture : floor;
    keep(FLOOR_KEY, String(this.floor));
    this.drawn = null;
    this.change(this.floor);
  }

  /** Draws what belongs to token t, `reached` of whose questions are answered; `before` counts tokens. */
  show(trace, { t, reached, before }, label, pick) {
    const mark = `${this.floor} ${t} ${reached} ${before}`;
    if (mark === this.drawn) return;
    this.drawn = mark;
    this.buttons.forEach((item, floor) => item.setAttribute("aria-pressed", String(floor === this.floor)));
    this.says.textContent = this.sentence(trace, t);
    if (this.floor === FLOORS.questions && trace.nd[t]) showLadder(this.panel, trace, t, reached, label, pick);
    else if (this.floor === FLOORS.machine) showMachine(this.panel, trace, before);
    else this.panel.replaceChildren();
  }

  sentence(trace, t) {
    if (this.floor === FLOORS.helper) return helperSentence(trace);
    return say(`floorSays${this.floor}`, { n: trace.nd[t] || 0 });
  }
}
