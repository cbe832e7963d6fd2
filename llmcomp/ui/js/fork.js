// What if the text said another word? The path up to token t, then that word: cost only, no bytes.

import { pushedBytes } from "./tape.js";
import { registers } from "./wire.js";

const WINDOW_SIZE = 2 ** 32;
const BYTE_ROOM = 2 ** 24;

/** The registers after narrowing `[lo, lo + r)`, and the bytes pushed by then. */
function narrowed(state, pushed, { lo, r }) {
  const bytes = [...pushed];
  let low = state.low + Math.floor(lo * state.rng);
  let rng = Math.max(Math.floor(r * state.rng), 1);
  if (low >= WINDOW_SIZE) {
    low -= WINDOW_SIZE;
    for (let i = bytes.length - 1; i >= 0; i -= 1) {
      bytes[i] = (bytes[i] + 1) % 256;
      if (bytes[i] !== 0) break;
    }
  }
  while (rng < BYTE_ROOM) {
    bytes.push(Math.floor(low / BYTE_ROOM));
    low = (low % BYTE_ROOM) * 256;
    rng *= 256;
  }
  return { low, rng, bytes };
}

/** The whole trace up to token t, with `candidate` (`{id, lo, r}`) in that token's place. */
export function forkAt(trace, t, candidate) {
  const { low, rng, bytes } = narrowed(registers(trace, t), pushedBytes(trace, t), candidate);
  const word = trace.words.get(candidate.id) || new Uint8Array();
  const bits = -Math.log2(candidate.r);
  const fork = { ...trace, count: t + 1, fork: t };
  const values = {
    id: candidate.id, lo: candidate.lo, r: candidate.r, cost: bits, ideal: bits, len: word.length,
    low, rng, out: bytes.length, pend: 0, car: 0, nd: 0,
  };
  for (const [name, value] of Object.entries(values)) {
    fork[name] = trace[name].slice(0, t + 1);
    fork[name][t] = value;
  }
  fork.cum = trace.cum.slice(0, t + 2);
  fork.cum[t + 1] = fork.cum[t] + bits;
  fork.asked = trace.asked.slice(0, t + 2);
  fork.asked[t + 1] = fork.asked[t];
  fork.offset = trace.offset.slice(0, t + 2);
  fork.offset[t + 1] = fork.offset[t] + word.length;
  fork.text = Uint8Array.from([...trace.text.subarray(0, trace.offset[t]), ...word]);
  const window = [24, 16, 8, 0].map((shift) => Math.floor(low / 2 ** shift) % 256);
  fork.payload = Uint8Array.from([...bytes, ...window]);
  return fork;
}

/** The token that cost most; not the first if there are more, since nothing was expected there. */
export function dearest(trace) {
  let t = trace.count > 1 ? 1 : 0;
  for (let at = t + 1; at < trace.count; at += 1) if (trace.cost[at] > trace.cost[t]) t = at;
  return t;
}
