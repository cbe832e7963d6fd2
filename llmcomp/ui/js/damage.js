// What a flipped bit did, in words: the outcome, the stamp, and the error a user would read.

import { make, button } from "./dom.js";
import { say } from "./say.js";

/** Elements of the verdict on `{bit, outcome, split, verdict}`; `repair` goes back to the text. */
export function verdictBox({ bit, outcome, split, verdict }, repair) {
  return [
    make("div", "lv-stamp", [make("span", "", "✕", { "aria-hidden": "true" }), ` ${say("refused")}`]),
    make("div", "lv-verdict-words", [
      make("p", "lv-outcome", say(`outcome_${outcome}`, { byte: Math.floor(bit / 8) + 1, split: (split ?? 0) + 1 }), { "data-outcome": outcome }),
      make("p", "lv-error", verdict),
    ]),
    button("lv-button", say("undamage"), say("undamage"), repair),
  ];
}
