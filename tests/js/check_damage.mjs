// Holds a damaged number's path (on stdin, beside the text's own) against both numbers.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { foreignNeedle, needleAt } from "../../llmcomp/ui/js/needle.js";
import { parseTrace } from "../../llmcomp/ui/js/wire.js";

const told = JSON.parse(readFileSync(0, "utf-8"));
const [home, bent] = [parseTrace(told.home), parseTrace(told.trace)];
const split = told.split ?? bent.count;

for (let t = 0; t < split; t += 1) {
  assert.equal(home.id[t], bent.id[t]);
  assert.equal(home.lo[t], bent.lo[t]);
  assert.equal(home.r[t], bent.r[t]);
}
for (let t = 0; t <= bent.count; t += 1) {
  const u = needleAt(bent, t);
  assert.ok(u >= 0 && u <= 1, `the damaged number left its box ${t}`);
}
for (let t = 0; t <= split; t += 1) {
  const u = foreignNeedle(bent, home, split, t);
  assert.ok(u >= 0 && u <= 1, `the number left its box ${t}`);
}
if (told.outcome === "number" && split < bent.count) {
  assert.notEqual(home.id[split], bent.id[split]);
  const u = foreignNeedle(bent, home, split, split + 1);
  assert.ok(u <= 1e-6 || u >= 1 - 1e-6, "the number is outside the first false box");
}
// Two numbers that differ in bit i are 2^-(i+1) apart.
const bits = (bytes, from) => Number(bytes.slice(from, from + 6).reduce((sum, byte) => sum * 256n + BigInt(byte), 0n));
const at = [...home.payload].findIndex((byte, i) => byte !== bent.payload[i]);
const apart = Math.abs(bits([...home.payload].map(BigInt), at) - bits([...bent.payload].map(BigInt), at));
assert.equal(Math.log2(apart) % 1, 0);
