// The number as it stands after a step: settled bytes, bytes a carry could still flip, the window.

import { make } from "./dom.js";
import { hex } from "./label.js";
import { say } from "./say.js";
import { endsAt, registers } from "./wire.js";

const CHIPS = 24;
const WINDOW = 32;

/** Four bytes from a place on as one number, zeros after the end. */
export function windowWord(bytes, at) {
  let value = 0;
  for (let i = at; i < at + 4; i += 1) value = value * 256 + (i < bytes.length ? bytes[i] : 0);
  return value;
}

/**
 * The bytes pushed before token t, as they stood then.
 *
 * The payload holds them as they stand at the end. The number lies in [low, low + range), so it
 * falls short of low in the window exactly when a later carry has added one to the bytes before it:
 * then that one is taken back.
 */
export function pushedBytes(trace, t) {
  const state = registers(trace, t);
  const bytes = new Uint8Array(state.out);
  bytes.set(trace.payload.subarray(0, state.out));
  if (state.out > 0 && windowWord(trace.payload, state.out) < state.low) {
    for (let i = state.out - 1; i >= 0; i -= 1) {
      bytes[i] = (bytes[i] + 255) % 256;
      if (bytes[i] !== 255) break;
    }
  }
  return bytes;
}

/** Digits of the window; `agreed` of them are the same at both ends of the box. */
function windowDigits(state) {
  const digits = Math.min(state.low, 2 ** 32 - 1).toString(2).padStart(WINDOW, "0");
  const last = state.low + state.rng - 1;
  if (last >= 2 ** 32) return { digits, agreed: 0 };
  const end = Math.floor(last).toString(2).padStart(WINDOW, "0");
  let agreed = 0;
  while (agreed < WINDOW && digits[agreed] === end[agreed]) agreed += 1;
  return { digits, agreed };
}

/** The tape before token t: hex of settled and waiting bytes, how many are left out, the window. */
export function tapeAt(trace, t) {
  const state = registers(trace, t);
  const bytes = [...pushedBytes(trace, t)].map(hex);
  const settled = bytes.slice(0, state.out - state.pend);
  return {
    hidden: Math.max(settled.length - CHIPS, 0),
    settled: settled.slice(-CHIPS),
    waiting: bytes.slice(state.out - state.pend),
    carry: state.car === 1,
    ...windowDigits(state),
  };
}

/**
 * Draws the tape before token t.
 *
 * A writer sees the bytes so far and the window, at the end all bytes of the file's number. To a
 * reader (`known`) all are there from the start, and fade once they can no longer matter.
 */
export function drawTape(root, trace, t, known) {
  const part = (className, text, title) => make("span", className, text, title ? { title } : {});
  const draw = known ? readerParts : endsAt(trace, t) ? finishedParts : writerParts;
  root.replaceChildren(part("lv-zero", "0."), ...draw(trace, t, part, Number(root.dataset.settled || 0)));
  const { out, pend } = registers(trace, t);
  root.dataset.settled = String(out - pend);
  if (!known) root.scrollLeft = root.scrollWidth;
}

function left(bytes) {
  return bytes > 0 ? [make("span", "lv-hidden", say("hidden", { n: bytes }))] : [];
}

/** `before` bytes were settled in the last picture: chips after those have just dropped. */
function writerParts(trace, t, part, before) {
  const tape = tapeAt(trace, t);
  const chips = tape.settled.map((byte, i) => part(tape.hidden + i < before ? "lv-chip" : "lv-chip lv-new", byte));
  const waiting = tape.waiting.map((byte) => part("lv-chip lv-waiting", byte, say("waiting")));
  const digits = [make("b", "", tape.digits.slice(0, tape.agreed)), tape.digits.slice(tape.agreed)];
  const window32 = part(tape.carry ? "lv-window lv-carried" : "lv-window", digits, say("windowTitle"));
  return [...left(tape.hidden), ...chips, ...waiting, window32];
}

function finishedParts(trace, t, part) {
  const { out, pend } = registers(trace, t);
  const from = Math.max(trace.payload.length - CHIPS, 0);
  const chips = [...trace.payload.subarray(from)].map((byte, i) => part(from + i < out - pend ? "lv-chip" : "lv-chip lv-last", hex(byte)));
  return [...left(from), ...chips];
}

function readerParts(trace, t, part) {
  const { out, pend } = registers(trace, t);
  const used = out - pend;
  const from = Math.max(Math.min(used, trace.payload.length) - CHIPS / 2, 0);
  const bytes = [...trace.payload.subarray(from, from + CHIPS)];
  const classOf = (at) => `lv-chip${at < used ? " lv-used" : ""}${at === trace.hurt ? " lv-hurt" : ""}`;
  const chips = bytes.map((byte, i) => part(classOf(from + i), hex(byte)));
  return [...left(from), ...chips, ...left(trace.payload.length - from - bytes.length)];
}
