// The word card: what was expected at one token and what the text said instead.

import { make } from "./dom.js";
import { tokenLabel } from "./label.js";
import { bitsText, say, shareText, tokenFacts } from "./say.js";
import { candidates } from "./wire.js";

const CONTEXT_BYTES = 48;

function fact(name, value) {
  return make("div", "lv-fact", [make("dt", "", name), make("dd", "", value)]);
}

/** The six candidates at token t and, if it is none of them, the true word: most likely first. */
export function ballot(trace, t) {
  const truth = trace.id[t];
  const list = candidates(trace, t).map((item) => ({ ...item, chosen: item.id === truth }));
  if (!list.some((item) => item.chosen)) list.push({ id: truth, lo: trace.lo[t], r: trace.r[t], chosen: true });
  return list;
}

/** One candidate as a button: choosing it asks "what if?". */
function bar({ id, r, chosen }, label, choose) {
  const fill = make("span", "lv-bar-fill");
  fill.style.width = `${Math.max(100 * r, 0.5)}%`;
  const name = label(id);
  const row = make("button", chosen ? "lv-bar lv-chosen" : "lv-bar", [
    make("bdi", "lv-bar-name", name),
    make("span", "lv-bar-track", fill, { "aria-hidden": "true" }),
    make("span", "lv-bar-share", `${shareText(r)} · ${say("bits", { bits: bitsText(-Math.log2(r)) })}`),
  ], { type: "button", title: chosen ? say("chosen") : say("whatIf", { word: name }) });
  row.disabled = chosen;
  row.addEventListener("click", choose);
  return make("li", "", row);
}

/** The text just before token t: from a whole character on. */
function contextOf(trace, t) {
  let from = Math.max(trace.offset[t] - CONTEXT_BYTES, 0);
  while ((trace.text[from] & 0xc0) === 0x80) from += 1;
  const text = tokenLabel(trace.text.subarray(from, trace.offset[t]));
  return from > 0 ? `… ${text}` : text;
}

/** Fills `root` with the card of token t; `choose(candidate)` answers a click on a bar. */
export function showCard(root, trace, t, label, choose) {
  const facts = tokenFacts(trace, t, label);
  const bars = ballot(trace, t).map((item) => bar(item, label, () => choose(item)));
  const context = contextOf(trace, t);
  root.replaceChildren(
    make("div", "lv-card-head", [
      make("bdi", "lv-card-word", facts.word),
      make("span", "lv-card-place", `${facts.token} / ${facts.total}`),
    ]),
    make("dl", "lv-facts", [
      fact(say("given"), facts.share),
      fact(say("rank"), String(facts.rank)),
      fact(say("cost"), say("bits", { bits: facts.bits })),
      fact(say("expected"), say("bits", { bits: facts.expected })),
    ]),
    make("ol", "lv-bars", bars, { "aria-label": say("likeliest") }),
    ...(context ? [make("p", "lv-context", [`${say("context")}: `, make("bdi", "", context)])] : []),
  );
}
