// The number as a point of the picture: known from the first byte, whatever the words.

import { windowWord } from "./tape.js";
import { registers } from "./wire.js";

const LINKS = 60; // further tokens move the needle by less than a double can hold
const FARTHEST = 2 ** 20;

/** Place of a trace's own number in its box `base`, chained back from the last token in reach. */
export function needleAt(trace, base) {
  const end = Math.min(base + LINKS, trace.count);
  const state = registers(trace, end);
  const past = windowWord(trace.payload, state.out) - state.low;
  let u = Math.min(Math.max((past < 0 ? past + 2 ** 32 : past) / state.rng, 0), 1);
  for (let t = end - 1; t >= base; t -= 1) u = trace.lo[t] + trace.r[t] * u;
  return u;
}

/** Place in box `base` of `trace` of the number of `other`, whose first `split` tokens are the same. */
export function foreignNeedle(trace, other, split, base) {
  let u = needleAt(other, Math.min(base, split));
  for (let t = split; t < base; t += 1) {
    u = (u - trace.lo[t]) / trace.r[t];
    if (Math.abs(u) > FARTHEST) return Math.sign(u) * FARTHEST;
  }
  return u;
}
