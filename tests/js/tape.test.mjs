import assert from "node:assert/strict";
import { test } from "node:test";
import { pushedBytes, tapeAt } from "../../llmcomp/ui/js/tape.js";
import { parseTrace } from "../../llmcomp/ui/js/wire.js";
import { makeMessage, words } from "./fixture.mjs";

const tokens = words("now is the time for all good people ".repeat(60));

test("bytes on the tape are the coder's own at every step, carries taken back", () => {
  let carries = 0;
  for (let seed = 1; seed <= 12; seed += 1) {
    const { message, exact } = makeMessage(tokens, { bits: (t) => 1 + (t % 9), seed });
    const trace = parseTrace(message);
    for (let t = 0; t <= trace.count; t += 1) {
      const number = [...pushedBytes(trace, t)].reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
      assert.equal(number, exact[t].number, `seed ${seed}, step ${t}`);
    }
    carries += trace.car.reduce((sum, car) => sum + car, 0);
  }
  assert.ok(carries > 5, "the runs must contain carries, or nothing was tested");
});

test("settled bytes never change again", () => {
  const { message, payload } = makeMessage(tokens, { bits: (t) => 1 + (t % 9), seed: 4 });
  const trace = parseTrace(message);
  for (let t = 1; t <= trace.count; t += 1) {
    const settled = trace.out[t - 1] - trace.pend[t - 1];
    const pushed = pushedBytes(trace, t);
    for (let i = 0; i < settled; i += 1) assert.equal(pushed[i], payload[i] || 0);
  }
});

test("the window shows 32 digits, agreed ones first", () => {
  const { message } = makeMessage(tokens, { bits: () => 2 });
  const trace = parseTrace(message);
  for (let t = 0; t <= trace.count; t += 1) {
    const tape = tapeAt(trace, t);
    assert.match(tape.digits, /^[01]{32}$/);
    assert.ok(tape.agreed >= 0 && tape.agreed <= 32);
    assert.ok(tape.settled.length <= 24);
  }
});
