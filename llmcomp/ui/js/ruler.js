// The file's own tree: binary cells beside the boxes, straight from the coder's registers.

import { uOf, yOf } from "./camera.js";
import { pushedBytes } from "./tape.js";
import { registers } from "./wire.js";

const WHOLE = 2 ** 32;
const LAST_BYTE = 2 ** 24; // every box holds a multiple of it: one byte more always ends the number
const MOST_CELLS = 160;
const KNOWN_BYTES = 6; // so many bytes are whole numbers in a double
const MOST_SHIFT_BYTES = 10;

/** Edges of cell m at depth d in coordinates of the box whose registers are given. */
export function cellEdges(state, depth, m) {
  const unit = 2 ** (8 * state.out + 32 - depth);
  return [(m * unit - state.low) / state.rng, ((m + 1) * unit - state.low) / state.rng];
}

/** Where the coder would end now, in units of the window: the first place that whole bytes name. */
function lastNumber({ low, rng }) {
  if (low === 0) return 0;
  return low + rng > WHOLE ? WHOLE : Math.ceil(low / LAST_BYTE) * LAST_BYTE;
}

/** The largest cell that begins at the number the coder would end with now, and lies in the box. */
export function stopCell(state) {
  const number = lastNumber(state);
  for (let unit = WHOLE, depth = 8 * state.out; unit >= 1; unit /= 2, depth += 1) {
    if (number % unit === 0 && number + unit <= state.low + state.rng) return { depth, m: number / unit };
  }
  return null;
}

/**
 * The cell of a depth in which the window begins, in units of the window.
 *
 * Cells no deeper than the window's start are wider than it: where they begin and which digit they
 * carry stands in the bytes already pushed. `before` counts the cells from 0 up to this one, or is
 * null when they are too many to matter (the ends of the line are then far outside).
 */
function alignment(trace, t, state, depth) {
  const start = 8 * state.out;
  const unit = 2 ** (start + 32 - depth);
  if (start === 0) return { unit, origin: 0, digit: 0, before: 0 };
  if (depth > start) {
    const known = state.out <= KNOWN_BYTES;
    return { unit, origin: 0, digit: 0, before: known ? Number(lastBytes(trace, t)) * 2 ** (depth - start) : null };
  }
  const shift = BigInt(start - depth);
  const pushed = lastBytes(trace, t);
  const index = pushed >> shift;
  return {
    unit,
    origin: -Number(pushed - (index << shift)) * 2 ** 32,
    digit: Number(index & 1n),
    before: state.out <= KNOWN_BYTES ? Number(index) : null,
  };
}

function lastBytes(trace, t) {
  return pushedBytes(trace, t).slice(-MOST_SHIFT_BYTES).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

/** Cells of `levels` depths that meet the picture: `[{depth, m, digit, y0, y1}]`. */
export function cellsAt(trace, camera, g, levels) {
  const t = camera.base;
  const state = registers(trace, t);
  const [top, bottom] = [0, g.height].map((y) => state.low + uOf(camera, g, y) * state.rng);
  const cells = [];
  const first = Math.max(Math.floor(camera.depth), 1);
  for (let depth = first; depth <= Math.floor(camera.depth) + levels + 1; depth += 1) {
    const { unit, origin, digit, before } = alignment(trace, t, state, depth);
    const least = before === null ? -Infinity : -before;
    const most = before === null ? Infinity : 2 ** depth - 1 - before;
    const m0 = Math.max(Math.floor((top - origin) / unit), least);
    const m1 = Math.min(Math.floor((bottom - origin) / unit), most, m0 + MOST_CELLS);
    for (let m = m0; m <= m1; m += 1) {
      const [y0, y1] = [m, m + 1].map((edge) => yOf(camera, g, (edge * unit + origin - state.low) / state.rng));
      cells.push({ depth, m, digit: Math.abs((m + digit) % 2), y0, y1 });
    }
  }
  return cells;
}

/** Row of the carry edge, or null when the box does not reach it. */
export function carryRow(trace, camera, g) {
  const state = registers(trace, camera.base);
  if (state.out === 0 || state.low + state.rng <= 2 ** 32) return null;
  return yOf(camera, g, (2 ** 32 - state.low) / state.rng);
}
