// The file as hex, every byte with its part; a token owns the bits [cum[t], cum[t+1]) of the number.

import { make } from "./dom.js";
import { hex, shorten } from "./label.js";
import { say } from "./say.js";
import { endsAt, fromBase64 } from "./wire.js";

const MOST_BYTES = 1024; // beyond, nobody reads hex, and the page would be slow
const MOST_WORDS = 4;

/** The file behind a trace: `{bytes, parts, number}`, or null when the message has none. */
export function fileOf(trace) {
  const { file } = trace.message;
  return file ? { bytes: fromBase64(file.bytes), parts: file.parts, number: file.number } : null;
}

/** The byte of the number in which the window's first token begins. */
function firstByte(trace) {
  return Math.floor(trace.cum[0] / 8);
}

/** First and last (half open) token that pays for bits of byte n of the number. */
export function tokensOfByte(trace, n) {
  const { cum, count } = trace;
  let first = 0;
  while (first < count && cum[first + 1] <= 8 * n) first += 1;
  let end = first;
  while (end < count && cum[end] < 8 * n + 8) end += 1;
  return [first, end];
}

/** Part of byte n of the number that token t pays for, as `[from, to]` of 8 bits; null if none. */
export function shareOfByte(trace, n, t) {
  const from = Math.max(trace.cum[t] - 8 * n, 0);
  const to = Math.min(trace.cum[t + 1] - 8 * n, 8);
  return to > from ? [from, to] : null;
}

function partOf(file, at) {
  return file.parts.find(([, start, stop]) => at >= start && at < stop)[0];
}

/** Hex rows with two-way links; `look(t | null)` on hover, `go(t)` on a click, `flip(bit)` on a bit. */
export class ByteView {
  constructor(trace, label, { look, go, flip }) {
    this.trace = trace;
    this.label = label;
    this.file = fileOf(trace);
    this.flip = flip;
    this.open = null;
    // a long file is shown from its beginning, or from where the drawn tokens' bytes begin
    const drawn = this.file.number + firstByte(trace);
    this.from = drawn < MOST_BYTES / 2 ? 0 : Math.max(Math.min(drawn, this.file.bytes.length - MOST_BYTES), 0);
    this.hex = make("div", "lv-hex", [], { role: "listbox", "aria-label": say("file"), "aria-orientation": "horizontal" });
    this.bits = make("div", "lv-bits");
    this.keys = make("p", "lv-parts", this.names());
    this.root = make("section", "lv-bytes", [make("h2", "", say("file")), this.keys, this.hex, ...this.cut(), this.bits]);
    const shown = this.file.bytes.subarray(this.from, this.from + MOST_BYTES);
    this.cells = Array.from(shown, (byte, i) => this.cell(byte, this.from + i));
    this.hex.append(...this.cells);
    this.listen(look, go);
    this.select(this.file.number + firstByte(trace), false);
  }

  names() {
    const seen = [...new Set(this.file.parts.map(([name]) => name))];
    return seen.map((name) => make("span", `lv-byte lv-part-${name}`, say(`part_${name}`)));
  }

  cut() {
    const total = this.file.bytes.length;
    return total > MOST_BYTES ? [make("p", "lv-note", say("fileCut", { first: this.from + 1, last: Math.min(this.from + MOST_BYTES, total), total }))] : [];
  }

  cell(byte, at) {
    return make("span", `lv-byte lv-part-${partOf(this.file, at)}`, hex(byte), {
      role: "option", "data-byte": String(at), tabindex: "-1", "aria-selected": "false", "aria-label": `${hex(byte)}: ${this.name(at)}`,
    });
  }

  /** Byte of the number at a place of the file, or null outside the drawn lane's payload. */
  numbered(at) {
    const n = at - this.file.number;
    const last = endsAt(this.trace, this.trace.count) ? this.trace.payload.length : this.trace.cum[this.trace.count] / 8;
    return n >= firstByte(this.trace) && n < last ? n : null;
  }

  name(at) {
    const n = this.numbered(at);
    if (n === null) return say("byteIs", { n: at, part: say(`part_${partOf(this.file, at)}`) });
    const [first, end] = tokensOfByte(this.trace, n);
    const words = [];
    for (let t = first; t < Math.min(end, first + MOST_WORDS); t += 1) words.push(shorten(this.label(this.trace.id[t]), 16));
    if (end - first > MOST_WORDS) words.push("…");
    return say("byteOf", { n, words: words.join(" ") });
  }

  listen(look, go) {
    const placeOf = (event) => {
      const cell = event.target.closest ? event.target.closest("[data-byte]") : null;
      return cell ? Number(cell.dataset.byte) : null;
    };
    const tokenOf = (at) => {
      const n = at === null ? null : this.numbered(at);
      return n === null ? null : Math.min(tokensOfByte(this.trace, n)[0], this.trace.count - 1);
    };
    this.hex.addEventListener("pointerover", (event) => look(tokenOf(placeOf(event))));
    this.hex.addEventListener("pointerleave", () => look(null));
    this.hex.addEventListener("click", (event) => {
      const at = placeOf(event);
      if (at === null) return;
      this.select(at, true);
      if (tokenOf(at) !== null) go(tokenOf(at));
      look(tokenOf(at));
    });
    this.hex.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by) return;
      event.preventDefault();
      event.stopPropagation();
      this.select(this.open + by, true);
      look(tokenOf(this.open));
    });
  }

  /** Opens one byte: its eight bits can be damaged. */
  select(at, focus) {
    const place = Math.min(Math.max(at, this.from), this.from + this.cells.length - 1);
    if (this.open !== null) {
      this.cellAt(this.open).tabIndex = -1;
      this.cellAt(this.open).setAttribute("aria-selected", "false");
    }
    this.open = place;
    this.cellAt(place).tabIndex = 0;
    this.cellAt(place).setAttribute("aria-selected", "true");
    if (focus) this.focus();
    const digits = this.file.bytes[place].toString(2).padStart(8, "0");
    const buttons = [...digits].map((digit, i) => this.bit(8 * place + i, digit));
    this.bits.replaceChildren(
      make("span", "lv-byte-name", make("bdi", "", this.name(place))),
      ...(this.flip ? [make("span", "lv-bit-hint", say("flipHint")), make("span", "lv-bit-row", buttons)] : []),
    );
  }

  cellAt(place) {
    return this.cells[place - this.from];
  }

  focus() {
    this.cellAt(this.open).focus({ preventScroll: true });
  }

  bit(n, digit) {
    const item = make("button", "lv-bit", digit, { type: "button", "aria-label": `${digit}: ${say("flipThis", { n })}` });
    item.addEventListener("click", () => this.flip(n));
    return item;
  }

  /** Fills the bits that token t pays for; null clears. */
  light(t) {
    for (const cell of this.lit || []) cell.style.removeProperty("--lit");
    this.lit = [];
    if (t === null) return;
    const last = Math.floor(this.trace.cum[t + 1] / 8);
    for (let n = Math.floor(this.trace.cum[t] / 8); n <= last; n += 1) {
      const part = shareOfByte(this.trace, n, t);
      const cell = this.cellAt(this.file.number + n);
      if (!part || !cell || n >= this.trace.payload.length) continue;
      const [from, to] = part.map((bit) => `${(12.5 * bit).toFixed(1)}%`);
      cell.style.setProperty("--lit", `linear-gradient(90deg, transparent ${from}, var(--lv-lit) ${from} ${to}, transparent ${to})`);
      this.lit.push(cell);
    }
  }

  /** Marks one damaged bit's byte. */
  hurt(bit) {
    const cell = this.cellAt(Math.floor(bit / 8));
    if (cell) cell.classList.add("lv-hurt");
  }
}
