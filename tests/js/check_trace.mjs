// Holds a message of the real coder (on stdin) against its own payload: the picture is the coder.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { geometry } from "../../llmcomp/ui/js/camera.js";
import { cellEdges, stopCell } from "../../llmcomp/ui/js/ruler.js";
import { sceneAt } from "../../llmcomp/ui/js/scene.js";
import { pushedBytes } from "../../llmcomp/ui/js/tape.js";
import { needleAt } from "../../llmcomp/ui/js/needle.js";
import { endsAt, parseTrace, questions, registers } from "../../llmcomp/ui/js/wire.js";

const trace = parseTrace(JSON.parse(readFileSync(0, "utf-8")));
const number = (bytes) => [...bytes].reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);

/** The payload as a number with as many bytes as were pushed, and the four of the window. */
function payloadAt(out) {
  const bytes = new Uint8Array(out + 4);
  bytes.set(trace.payload.subarray(0, out + 4));
  return number(bytes);
}

for (let t = 0; t <= trace.count; t += 1) {
  const { out, low, rng } = registers(trace, t);
  const place = payloadAt(out) - (number(pushedBytes(trace, t)) << 32n);
  // registers are sent without their last 24 bits, so one unit either way is rounding
  assert.ok(place >= BigInt(low) - 1n, `the number lies below box ${t}`);
  assert.ok(place <= BigInt(low) + BigInt(rng) + 1n, `the number lies above box ${t}`);
}

// The whole number lies in the last box, and no shorter one does.
const end = registers(trace, trace.count);
const low = (number(pushedBytes(trace, trace.count)) << 32n) + BigInt(end.low);
const high = low + BigInt(end.rng);
const shorter = endsAt(trace, trace.count) ? trace.payload.length : 0; // else the lane goes on
for (let bytes = 0; bytes < shorter; bytes += 1) {
  const unit = 1n << BigInt(8 * (end.out + 4 - bytes));
  const first = ((low + 1n + unit - 1n) / unit) * unit; // one unit of the window is rounding
  assert.ok(first >= high - 1n, `${bytes} bytes would do`);
}
// The cell that is lit at the end begins at the file's number, and lies in the box.
if (endsAt(trace, trace.count)) {
  const { depth, m } = stopCell(end);
  const [u0, u1] = cellEdges(end, depth, m);
  assert.ok(u1 <= 1 && Math.abs(u0 - needleAt(trace, trace.count)) < 1e-6, `the cell from ${u0} to ${u1}`);
}
for (let t = 0; t <= trace.count; t += 1) {
  const u = needleAt(trace, t);
  assert.ok(u >= 0 && u <= 1, `the number left box ${t}`);
}

// Waiting bytes are those that a later carry may change, and a carry changes no others.
for (let t = 1; t <= trace.count; t += 1) {
  const { out, pend } = registers(trace, t);
  const now = pushedBytes(trace, t).subarray(0, out - pend);
  assert.deepEqual([...now], [...trace.payload.subarray(0, now.length), ...new Array(Math.max(now.length - trace.payload.length, 0)).fill(0)]);
}

// The questions end in the token's own box.
for (let t = 0; t < trace.count; t += 1) {
  const share = questions(trace, t).reduce((product, item) => product * item.share, 1);
  assert.ok(Math.abs(Math.log2(share / trace.r[t])) < 1e-4, `questions of token ${t}`);
}

const spent = trace.cost.reduce((sum, bits) => sum + bits, 0);
assert.ok(Math.abs(spent - trace.cum[trace.count] + trace.cum[0]) < 1e-3, "costs and intervals disagree");
const joined = [...trace.id].flatMap((id) => [...trace.words.get(id)]);
assert.deepEqual(joined, [...trace.text]);

const g = geometry(900, 340);
for (let f = 0; f <= trace.count; f += 0.7) {
  const { goal, levels } = sceneAt(trace, f, g);
  assert.ok(goal > 0 && goal < g.height, `the goal left the picture at ${f}`);
  for (const { truth, others } of levels) {
    for (const other of others) {
      const apart = other.y1 <= truth.y0 + 0.5 || other.y0 >= truth.y1 - 0.5;
      assert.ok(apart, `two boxes overlap at ${f}`);
    }
  }
}
