// The number as it stands after a step: settled bytes, bytes a carry could still flip, the window.

import { hex } from "./label.js";
import { registers } from "./wire.js";

const CHIPS = 24;
const WINDOW = 32;

function word(bytes, at) {
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
  if (state.out > 0 && word(trace.payload, state.out) < state.low) {
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
