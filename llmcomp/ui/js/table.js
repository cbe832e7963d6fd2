// The same trace as a real table, fifty rows a page.

import { button, make } from "./dom.js";
import { say, tokenFacts } from "./say.js";

const ROWS = 50;

/** First and last row (half open) of the page that holds token t. */
export function pageOf(count, t) {
  const first = Math.floor(Math.min(t, Math.max(count - 1, 0)) / ROWS) * ROWS;
  return [first, Math.min(first + ROWS, count)];
}

function row(trace, t, label) {
  const facts = tokenFacts(trace, t, label);
  const values = [facts.token, facts.word, facts.share, facts.rank, facts.bits, facts.sum, facts.best, facts.bestShare];
  return make("tr", "", values.map((value) => make("td", "", make("bdi", "", String(value)))));
}

/** Fills `root` with the page around token t. */
export function showTable(root, trace, t, label) {
  const [first, end] = pageOf(trace.count, t);
  const head = make("tr", "", say("columns").split("|").map((name) => make("th", "", name, { scope: "col" })));
  const rows = [];
  for (let at = first; at < end; at += 1) rows.push(row(trace, at, label));
  const turn = (to) => () => {
    showTable(root, trace, to, label);
    root.focus(); // the button that was pressed is gone; the keys must not go with it
  };
  const back = button("lv-button", say("previous"), say("previous"), turn(first - ROWS));
  const on = button("lv-button", say("next"), say("next"), turn(end));
  back.disabled = first === 0;
  on.disabled = end >= trace.count;
  root.replaceChildren(
    make("div", "lv-pages", [back, make("span", "", say("page", { first: first + 1, last: end, total: trace.count })), on]),
    make("div", "lv-table-scroll", make("table", "lv-table", [make("thead", "", head), make("tbody", "", rows)])),
  );
}
