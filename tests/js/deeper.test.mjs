import assert from "node:assert/strict";
import { test } from "node:test";
import { shareOfByte, tokensOfByte } from "../../llmcomp/ui/js/bytes.js";
import { ballot } from "../../llmcomp/ui/js/card.js";
import { cameraAt, geometry, yOf } from "../../llmcomp/ui/js/camera.js";
import { dearest, forkAt } from "../../llmcomp/ui/js/fork.js";
import { bestClassical, excessBits, growthOf } from "../../llmcomp/ui/js/growth.js";
import { partAfter, questionEdges } from "../../llmcomp/ui/js/ladder.js";
import { digitsOf, helperBits, nextCarry } from "../../llmcomp/ui/js/machine.js";
import { foreignNeedle, needleAt } from "../../llmcomp/ui/js/needle.js";
import { cellsAt, stopCell } from "../../llmcomp/ui/js/ruler.js";
import { sceneAt } from "../../llmcomp/ui/js/scene.js";
import { parseTrace, questions, registers } from "../../llmcomp/ui/js/wire.js";
import { makeMessage, words } from "./fixture.mjs";

const TEXT = "the quick brown fox jumps over a lazy dog ".repeat(20);
const traceOf = (n, bits, seed = 5) => parseTrace(makeMessage(words(TEXT).slice(0, n), { bits, seed }).message);
const near = (left, right, tolerance) => assert.ok(Math.abs(left - right) <= tolerance, `${left} is not ${right}`);

test("questions narrow to the token's own box, and their answers follow the dictionary", () => {
  const trace = traceOf(60, (t) => t % 9);
  for (let t = 0; t < trace.count; t += 1) {
    const all = questions(trace, t);
    const last = all[all.length - 1];
    near(last.w * last.share, trace.r[t], 1e-4 * trace.r[t]);
    near(last.after ? last.edge : last.lo, trace.lo[t], 1e-4);
    for (const { cut, after } of all) assert.equal(trace.id[t] >= cut, after);
  }
});

test("a question's edges are the same seen from either end of the fall", () => {
  const trace = traceOf(40, (t) => 1 + (t % 7));
  for (let t = 0; t < trace.count; t += 1) {
    for (let at = 0; at < trace.nd[t]; at += 1) {
      const part = partAfter(trace, t, at);
      const [before, after] = [questionEdges(trace, t, part, false), questionEdges(trace, t, part, true)];
      if (!before) continue; // answers that cost nothing take no part of the fall
      assert.equal(before.at, after.at);
      for (const u of ["lo", "edge"]) near(trace.lo[t] + after[u] * trace.r[t], before[u], 1e-5);
      near(after.w * trace.r[t], before.w, 1e-5);
    }
    assert.equal(questionEdges(trace, t, 1, false), null);
    assert.equal(partAfter(trace, t, trace.nd[t]), 1);
  }
});

test("the number stands in every box of its path, and where the payload says", () => {
  const { message, exact } = makeMessage(words(TEXT).slice(0, 120), { bits: (t) => t % 8, seed: 8 });
  const trace = parseTrace(message);
  const payload = BigInt(`0x${Buffer.from(trace.payload).toString("hex")}`);
  for (let t = 0; t <= trace.count; t += 1) {
    const u = needleAt(trace, t);
    assert.ok(u >= 0 && u <= 1);
    const { number, low, range, out } = exact[t];
    const shift = 8n * BigInt(trace.payload.length - out) - 56n;
    const window = shift >= 0n ? payload >> shift : payload << -shift;
    const place = Number(window - (number << 56n) - low) / Number(range);
    near(u, place, 1e-6);
  }
});

test("two numbers of one beginning are one line as long as it lasts", () => {
  const tokens = words(TEXT).slice(0, 40);
  const other = [...tokens.slice(0, 25), ...words(" dog dog dog dog dog")];
  // one vocabulary for both, so that their first tokens share their boxes
  const extra = [...new Set(words(TEXT).map((word) => Buffer.from(word).toString()))];
  const [left, right] = [tokens, other].map((list) => parseTrace(makeMessage(list, { bits: () => 2, extra, seed: 3 }).message));
  assert.deepEqual([...left.lo.slice(0, 25)], [...right.lo.slice(0, 25)]);
  near(foreignNeedle(right, left, 25, 0), needleAt(right, 0), 2 ** -49);
  near(foreignNeedle(right, left, 25, 25), needleAt(left, 25), 0);
  assert.ok(Math.abs(foreignNeedle(right, left, 25, right.count)) <= 2 ** 20, "far away, but a number");
});

test("a fork keeps the past and puts the candidate in the box that the tables gave it", () => {
  const trace = traceOf(50, (t) => (t === 30 ? 12 : 2));
  assert.equal(dearest(trace), 30);
  const candidate = ballot(trace, 30).find(({ chosen }) => !chosen);
  const fork = forkAt(trace, 30, candidate);
  assert.equal(fork.count, 31);
  assert.equal(fork.cum[30], trace.cum[30]);
  near(fork.cum[31] - fork.cum[30], -Math.log2(candidate.r), 1e-9);
  assert.equal(trace.id[30] !== fork.id[30], true);
  const g = geometry(900, 340);
  const { levels, camera } = sceneAt(fork, 30, g);
  const { truth } = levels.find(({ token }) => token === 30);
  near(truth.y0, yOf(cameraAt(trace, 30), g, candidate.lo), 0.01);
  assert.equal(camera.depth, trace.cum[30]);
  const end = cameraAt(fork, 31);
  assert.ok(cellsAt(fork, end, g, 4).every(({ y0, y1 }) => Number.isFinite(y0 + y1)));
  const { low, rng } = registers(fork, 31);
  assert.ok(stopCell(registers(fork, 31)) !== null && low < 2 ** 32 && rng >= 2 ** 24);
});

test("bytes and tokens point at each other, bit by bit", () => {
  const trace = traceOf(80, (t) => (t % 4 ? 0.2 : 11));
  for (let n = 0; n < trace.payload.length - 1; n += 1) {
    const [first, end] = tokensOfByte(trace, n);
    let covered = 0;
    for (let t = first; t < end; t += 1) {
      const part = shareOfByte(trace, n, t);
      if (part) covered += part[1] - part[0];
    }
    near(covered, 8, 1e-6);
    assert.equal(shareOfByte(trace, n, end) === null || end === trace.count, true);
  }
});

test("the excess is the coder's cost beside the ideal and ends with the tail", () => {
  const trace = traceOf(60, (t) => 1 + (t % 5));
  const excess = excessBits(trace);
  assert.equal(excess.length, trace.count + 2);
  near(excess[trace.count], 0, 0.01);
  near(excess[trace.count + 1], 8 * trace.payload.length - trace.cum[trace.count], 0.01);
  assert.ok(excess[trace.count + 1] <= 16);
  const { levels, helped } = growthOf(trace);
  assert.equal(helped, false);
  assert.deepEqual(levels[1], ["gzip", trace.message.sizes.gzip]);
  assert.deepEqual(bestClassical({ raw: 1, llmc: 1, gzip: 9, xz: 7 }), ["xz", 7]);
  assert.equal(bestClassical({}), null);
});

test("registers are told digit by digit, and the next carry is the next one", () => {
  assert.equal(digitsOf(2 ** 31 + 1), "10000000 00000000 00000000 00000001");
  const trace = traceOf(60, () => 3);
  const carries = [...trace.car].flatMap((car, t) => (car ? [t] : []));
  assert.equal(nextCarry(trace, -1), carries[0] ?? null);
  assert.equal(nextCarry(trace, trace.count), null);
  assert.deepEqual(helperBits(trace), { n: 0, bits: 0 });
});
