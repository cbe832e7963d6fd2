// The text as a listbox of tokens: colour and underline are the cost, one token takes the focus.

import { costClass } from "./colours.js";
import { cells, runLabel } from "./label.js";
import { say } from "./say.js";

const UNDERLINE_PX_PER_BIT = 0.6;
const THICKEST_PX = 6;
const IN_SIGHT = 250; // tokens either way: more than the strip shows at once
const REST_MS = 150;

/**
 * Spans for the tokens, in order; `pick(t)` on click, `look(t | null)` on hover and focus;
 * from token `falseFrom` on they are nobody's text.
 */
export class Strip {
  constructor(trace, { pick, look, name, falseFrom = Infinity }) {
    this.trace = trace;
    this.falseFrom = falseFrom;
    this.root = document.createElement("div");
    this.root.className = "lv-strip";
    this.root.setAttribute("role", "listbox");
    this.root.setAttribute("aria-label", name);
    this.root.setAttribute("aria-orientation", "horizontal");
    this.options = [];
    for (const group of cells(trace)) {
      // a word that nobody wrote is announced before it, not only hatched
      if (group.first <= falseFrom && falseFrom < group.end) this.root.append(this.warning());
      this.root.append(this.cell(group));
    }
    this.here = 0;
    this.reached = 0;
    this.coloured = new Uint8Array(this.options.length);
    if (this.options.length) this.options[0].tabIndex = 0;
    this.listen(pick, look);
  }

  warning() {
    const note = document.createElement("span");
    note.className = "lv-not-yours";
    note.setAttribute("role", "presentation");
    note.textContent = say("notYours");
    return note;
  }

  bytes(first, end) {
    const { text, offset } = this.trace;
    return text.subarray(offset[first], offset[end]);
  }

  option(t) {
    const span = document.createElement("span");
    const cost = this.trace.cost[t];
    span.className = `lv-token lv-cost-${costClass(cost)}`;
    span.style.setProperty("--under", `${Math.min(cost * UNDERLINE_PX_PER_BIT, THICKEST_PX).toFixed(1)}px`);
    span.dataset.token = String(t);
    span.classList.toggle("lv-false", t >= this.falseFrom);
    span.setAttribute("role", "option");
    span.setAttribute("aria-selected", "false");
    span.tabIndex = -1;
    this.options.push(span);
    return span;
  }

  cell({ first, end }) {
    const label = runLabel(this.bytes(first, end));
    if (end - first === 1) {
      const span = this.option(first);
      span.textContent = label;
      return span;
    }
    return this.sharedCell(first, end, label);
  }

  /** Several tokens share one character: parts side by side under it, each of them focusable. */
  sharedCell(first, end, label) {
    const cell = document.createElement("span");
    cell.className = "lv-cell";
    cell.setAttribute("role", "group");
    cell.setAttribute("aria-label", label);
    for (let t = first; t < end; t += 1) {
      const part = this.option(t);
      part.classList.add("lv-part");
      part.setAttribute("aria-label", `${label} ${t - first + 1}/${end - first}`);
      part.style.left = `${(100 * (t - first)) / (end - first)}%`;
      part.style.width = `${100 / (end - first)}%`;
      cell.append(part);
    }
    const glyph = document.createElement("span");
    glyph.className = "lv-glyph";
    glyph.setAttribute("aria-hidden", "true");
    glyph.textContent = label;
    cell.append(glyph);
    return cell;
  }

  listen(pick, look) {
    const tokenOf = (event) => {
      const span = event.target.closest ? event.target.closest("[data-token]") : null;
      return span ? Number(span.dataset.token) : null;
    };
    this.root.addEventListener("click", (event) => {
      const t = tokenOf(event);
      if (t !== null) pick(t);
    });
    this.root.addEventListener("pointerover", (event) => look(tokenOf(event)));
    this.root.addEventListener("pointerleave", () => look(null));
    this.root.addEventListener("focusin", (event) => look(tokenOf(event)));
  }

  /** Colours tokens before f, marks the one under way, keeps it in sight. */
  show(f) {
    const { options } = this;
    if (options.length === 0) return;
    const now = Math.min(Math.floor(f), options.length - 1);
    const reached = Math.floor(f);
    this.reached = reached;
    this.mark(f >= options.length ? options.length - 1 : now, f > 0 && f < options.length);
    // what is in sight at once, the rest at rest: a style for each of 2,000 tokens is half a frame
    this.colour(now - IN_SIGHT, now + IN_SIGHT);
    window.clearTimeout(this.resting);
    this.resting = window.setTimeout(() => this.colour(0, options.length), REST_MS);
  }

  colour(from, end) {
    for (let t = Math.max(from, 0); t < Math.min(end, this.options.length); t += 1) {
      const done = t < this.reached;
      if (done === (this.coloured[t] === 1)) continue;
      this.coloured[t] = done ? 1 : 0;
      this.options[t].classList.toggle("lv-done", done);
    }
  }

  mark(t, moving) {
    const { options } = this;
    options[this.here].classList.remove("lv-now");
    options[this.here].setAttribute("aria-selected", "false");
    options[this.here].tabIndex = -1;
    this.here = t;
    options[t].tabIndex = 0;
    options[t].setAttribute("aria-selected", "true");
    options[t].classList.toggle("lv-now", moving);
    this.keepInSight(options[t]);
  }

  /** Marks the token that is looked at elsewhere. */
  light(t) {
    if (this.lit !== undefined) this.options[this.lit].classList.remove("lv-lit");
    this.lit = t === null ? undefined : t;
    if (this.lit !== undefined) this.options[t].classList.add("lv-lit");
  }

  /** Scrolls the strip alone: scrollIntoView would move the whole page. */
  keepInSight(span) {
    const { root } = this;
    const row = (span.offsetParent === root ? span : span.parentElement) || span;
    const above = row.offsetTop < root.scrollTop;
    const below = row.offsetTop + row.offsetHeight > root.scrollTop + root.clientHeight;
    if (above || below) root.scrollTop = row.offsetTop - root.clientHeight / 3;
  }

  focus(t) {
    if (this.options[t]) this.options[t].focus({ preventScroll: true });
  }

  get hasFocus() {
    return this.root.contains(document.activeElement);
  }
}
