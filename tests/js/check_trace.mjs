// Holds a message of the real coder (on stdin) against its own payload: the picture is the coder.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { geometry } from "../../llmcomp/ui/js/camera.js";
import { sceneAt } from "../../llmcomp/ui/js/scene.js";
import { pushedBytes } from "../../llmcomp/ui/js/tape.js";
import { parseTrace, registers } from "../../llmcomp/ui/js/wire.js";

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

const spent = trace.cost.reduce((sum, bits) => sum + bits, 0);
assert.ok(Math.abs(spent - trace.cum[trace.count]) < 1e-3, "costs and intervals disagree");
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
