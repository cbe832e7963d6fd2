// Floor 4: all the coder holds after a token, and where the next carry runs.

import { make } from "./dom.js";
import { bitsText, say } from "./say.js";
import { registers } from "./wire.js";

const DIGITS = 32;

/** Digits of a register in groups of eight. */
export function digitsOf(value) {
  return Math.min(value, 2 ** 32 - 1).toString(2).padStart(DIGITS, "0").replace(/(.{8})(?=.)/g, "$1 ");
}

/** The first token after t in whose step a carry ran, or null. */
export function nextCarry(trace, t) {
  for (let at = t + 1; at < trace.count; at += 1) if (trace.car[at]) return at;
  return null;
}

/** Helper decisions of the whole trace: how many, and what they cost. */
export function helperBits(trace) {
  let [n, bits] = [0, 0];
  for (let i = 0; i < trace.dr.length; i += 1) {
    if (!(trace.dflag[i] & 2)) continue;
    n += 1;
    bits -= Math.log2(trace.dr[i]);
  }
  return { n, bits };
}

/** Fills `root` with the registers before token t (after the t-th step). */
export function showMachine(root, trace, t) {
  const [state, before] = [registers(trace, t), registers(trace, t - 1)];
  const rows = [
    [say("lowEnd"), digitsOf(state.low)],
    [say("range"), digitsOf(state.rng)],
    [say("pushed"), String(state.out)],
    [say("pending"), String(state.pend)],
    [say("renormalised"), String(t > 0 ? state.out - before.out : 0)],
    [say("carried"), state.car ? say("yes") : say("no")],
  ];
  const cells = rows.map(([name, value]) => make("div", "lv-register", [make("dt", "", name), make("dd", "", value)]));
  root.replaceChildren(make("dl", "lv-registers", cells));
}

/** What makes two machines agree on the probabilities of this trace. */
export function helperSentence(trace) {
  const { n, bits } = helperBits(trace);
  return n ? say("floorSays3", { n, bits: bitsText(bits) }) : say("exactHelper");
}
