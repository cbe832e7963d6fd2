// Floor 2: the questions that found a word, one rung each. Nearly all of them cost nothing.

import { make } from "./dom.js";
import { bitsText, say, shareText } from "./say.js";
import { questions } from "./wire.js";

/** The position within token t once `asked` of its questions are answered, as a part of the token. */
export function partAfter(trace, t, asked) {
  const all = questions(trace, t);
  const bits = (list) => list.reduce((sum, { share }) => sum - Math.log2(share), 0);
  const total = bits(all);
  if (asked >= all.length) return 1;
  return total > 0 ? bits(all.slice(0, asked)) / total : 0;
}

/**
 * The question under way in token t at part `part` of the fall, or null once all are answered.
 *
 * Its box and dividing edge are given in coordinates of the box before the token, or of the box
 * after it (`inChild`), reckoned from there so that nothing small is lost in something large.
 */
export function questionEdges(trace, t, part, inChild) {
  const all = questions(trace, t);
  let at = 0;
  while (at < all.length && partAfter(trace, t, at + 1) <= part + 1e-9) at += 1;
  if (at === all.length) return null;
  if (!inChild) return { ...all[at], at };
  let [lo, w, edge] = [0, 1, 0];
  for (let i = all.length - 1; i >= at; i -= 1) {
    const { share, after } = all[i];
    const parent = w / share;
    edge = after ? lo : lo + w;
    if (after) lo -= parent - w;
    w = parent;
  }
  return { cut: all[at].cut, lo, w, edge, at };
}

function rung(item, place, reached, label, pick) {
  const fill = make("span", "lv-bar-fill");
  fill.style.width = `${100 * item.share}%`;
  const asked = item.helper ? say("helperQuestion") : say("question", { word: label(item.cut) });
  const row = make("button", "lv-rung", [
    make("bdi", "lv-rung-asked", asked),
    make("b", "lv-rung-answer", item.after ? say("no") : say("yes")),
    make("span", "lv-bar-track", fill, { "aria-hidden": "true" }),
    make("span", "lv-bar-share", `${shareText(item.share)} · ${say("bits", { bits: bitsText(-Math.log2(item.share)) })}`),
  ], { type: "button" });
  row.classList.toggle("lv-helper", item.helper);
  row.classList.toggle("lv-answered", place < reached);
  if (place === reached) row.setAttribute("aria-current", "step");
  row.addEventListener("click", () => pick(place + 1));
  return make("li", "", row);
}

/** Fills `root` with the questions of token t, `reached` of them answered; `pick(n)` goes to n. */
export function showLadder(root, trace, t, reached, label, pick) {
  const all = questions(trace, t);
  const rungs = all.map((item, place) => rung(item, place, reached, label, pick));
  const bits = bitsText(trace.cost[t]);
  root.replaceChildren(
    make("p", "lv-ladder-sum", say("ladderSum", { word: label(trace.id[t]), n: all.length, bits })),
    make("ol", "lv-ladder", rungs, { "aria-label": say("floor2") }),
  );
}
