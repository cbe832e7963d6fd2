// The word card: what the model expected at one token and what the text said instead.

import { make } from "./dom.js";
import { bitsText, say, shareText, tokenFacts } from "./say.js";
import { candidates } from "./wire.js";

function fact(name, value) {
  return make("div", "lv-fact", [make("dt", "", name), make("dd", "", value)]);
}

function bar({ name, share, chosen }) {
  const fill = make("span", "lv-bar-fill");
  fill.style.width = `${Math.max(100 * share, 0.5)}%`;
  const row = make("li", chosen ? "lv-bar lv-chosen" : "lv-bar", [
    make("bdi", "lv-bar-name", name),
    make("span", "lv-bar-track", fill, { "aria-hidden": "true" }),
    make("span", "lv-bar-share", `${shareText(share)} · ${bitsText(-Math.log2(share))} bits`),
  ]);
  if (chosen) row.title = say.card.chosen;
  return row;
}

/** Fills `root` with the card of token t. */
export function showCard(root, trace, t, label) {
  const facts = tokenFacts(trace, t, label);
  const truth = trace.id[t];
  const list = candidates(trace, t).map(({ id, r }) => ({ name: label(id), share: r, chosen: id === truth }));
  if (!list.some((item) => item.chosen)) {
    list.push({ name: label(truth), share: 2 ** -trace.ideal[t], chosen: true });
  }
  root.replaceChildren(
    make("div", "lv-card-head", [
      make("bdi", "lv-card-word", facts.word),
      make("span", "lv-card-place", `${facts.token} / ${facts.total}`),
    ]),
    make("dl", "lv-facts", [
      fact(say.card.given, facts.share),
      fact(say.card.rank, String(facts.rank)),
      fact(say.card.cost, say.card.bits(facts.bits)),
      fact(say.card.expected, say.card.bits(facts.expected)),
    ]),
    make("ol", "lv-bars", list.map(bar), { "aria-label": say.card.likeliest }),
  );
}
