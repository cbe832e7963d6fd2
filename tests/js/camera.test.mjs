import assert from "node:assert/strict";
import { test } from "node:test";
import { cameraAt, geometry, uOf, xOf, yOf } from "../../llmcomp/ui/js/camera.js";
import { carryRow, cellsAt, stopCell } from "../../llmcomp/ui/js/ruler.js";
import { pathBoxes, sceneAt, tokenAt } from "../../llmcomp/ui/js/scene.js";
import { parseTrace, registers } from "../../llmcomp/ui/js/wire.js";
import { makeMessage, random, words } from "./fixture.mjs";

const TOLERANCE_PX = 0.01;
const long = (n) => words("the quick brown fox jumps over a lazy dog ".repeat(n)).slice(0, n);

function traceOf(n, bits, seed = 3) {
  const made = makeMessage(long(n), { bits, seed });
  return { ...made, trace: parseTrace(made.message) };
}

/** A double as an exact fraction with a power-of-two denominator. */
function fraction(value) {
  let exponent = 0;
  let scaled = value;
  while (!Number.isInteger(scaled)) {
    scaled *= 2;
    exponent += 1;
  }
  return [BigInt(scaled), 1n << BigInt(exponent)];
}

/** Exact place of an edge of box `b` in coordinates of box `base`, times 2^80, from whole registers. */
function exactPlace(exact, base, b, end) {
  const scale = (box) => BigInt(56 + 8 * box.out);
  const absolute = (box, plus) => (box.number << 56n) + box.low + plus;
  const finest = scale(exact[Math.max(base, b)]);
  const at = (box, plus) => absolute(box, plus) << (finest - scale(box));
  const from = at(exact[base], 0n);
  const width = exact[base].range << (finest - scale(exact[base]));
  return { top: at(exact[b], end ? exact[b].range : 0n) - from, bottom: width };
}

function exactRow(exact, camera, g, b, end) {
  const place = exactPlace(exact, camera.base, b, end);
  const [cn, cd] = fraction(camera.c);
  const [sn, sd] = fraction(camera.s);
  const numerator = (place.top * cd - cn * place.bottom) * sd;
  const denominator = place.bottom * cd * sn;
  return g.top + (Number((numerator << 60n) / denominator) / 2 ** 60) * g.h;
}

test("edges of the boxes agree with exact fractions to a hundredth of a pixel", () => {
  const next = random(9);
  const { trace, exact } = traceOf(400, (t) => (t % 7 === 0 ? 14 : 2 * next()));
  const g = geometry(900, 340);
  let worst = 0;
  for (let i = 0; i < 400; i += 1) {
    const camera = cameraAt(trace, next() * trace.count);
    for (const { box, lo, w } of pathBoxes(trace, camera, g)) {
      for (const [end, u] of [[false, lo], [true, lo + w]]) {
        const row = yOf(camera, g, u);
        // Far outside the picture a double has no hundredths of a pixel, and nobody sees them.
        if (Math.abs(row) < 4 * g.height) worst = Math.max(worst, Math.abs(row - exactRow(exact, camera, g, box, end)));
      }
    }
  }
  assert.ok(worst < TOLERANCE_PX, `largest error ${worst} px`);
});

test("at whole positions the current box fills the view", () => {
  const { trace } = traceOf(50, (t) => t % 12);
  const g = geometry(900, 340);
  for (let t = 0; t <= trace.count; t += 1) {
    const camera = cameraAt(trace, t);
    const box = pathBoxes(trace, camera, g).find((item) => item.box === t);
    assert.ok(Math.abs(yOf(camera, g, box.lo) - g.top) < TOLERANCE_PX);
    assert.ok(Math.abs(yOf(camera, g, box.lo + box.w) - g.top - g.h) < TOLERANCE_PX);
    assert.ok(Math.abs(xOf(camera, g, trace.cum[t]) - g.x0) < TOLERANCE_PX);
  }
});

test("the picture does not jump where the coordinates change hands", () => {
  const { trace } = traceOf(40, (t) => (t % 5) * 4);
  const g = geometry(900, 340);
  const rows = (f) => new Map(pathBoxes(trace, cameraAt(trace, f), g).map((b) => [b.box, yOf(cameraAt(trace, f), g, b.lo)]));
  for (let t = 0; t + 1 < trace.count; t += 1) {
    for (const seam of [t + 0.5, t + 1]) {
      const [before, after] = [rows(seam - 1e-9), rows(seam)];
      for (const [box, y] of after) {
        if (before.has(box) && Math.abs(y) < g.height) assert.ok(Math.abs(before.get(box) - y) < 0.05, `token ${t}`);
      }
    }
  }
});

test("no number is lost at a depth of 5,000 bits, nor in a token of 30 bits", () => {
  const { trace } = traceOf(600, (t) => (t % 50 === 0 ? 30 : 9));
  assert.ok(trace.cum[trace.count] > 5000);
  const g = geometry(900, 340);
  for (let f = 0; f <= trace.count; f += 0.37) {
    const scene = sceneAt(trace, f, g);
    const numbers = [
      scene.goal,
      ...scene.bands.flatMap((band) => [band.x0, band.x1, band.y0, band.y1]),
      ...scene.levels.flatMap(({ truth, others }) => [truth, ...others].flatMap((box) => [box.x, box.y0, box.y1])),
      ...cellsAt(trace, scene.camera, g, 4).flatMap((cell) => [cell.y0, cell.y1]),
    ];
    assert.ok(numbers.every(Number.isFinite), `at ${f}`);
    assert.ok(scene.goal > 0 && scene.goal < g.height, `the goal left the picture at ${f}`);
  }
});

test("a token of 60 bits stays sharp from end to end", () => {
  const { trace, exact } = traceOf(40, (t) => (t === 20 ? 60 : 3));
  assert.ok(Math.abs(trace.cum[21] - trace.cum[20] - 60) < 0.5);
  const g = geometry(900, 340);
  for (let t = 0; t <= 1; t += 0.01) {
    const camera = cameraAt(trace, 20 + t);
    for (const { box, lo, w } of pathBoxes(trace, camera, g)) {
      for (const [end, u] of [[false, lo], [true, lo + w]]) {
        const row = yOf(camera, g, u);
        if (Math.abs(row) > 4 * g.height) continue;
        const apart = Math.abs(row - exactRow(exact, camera, g, box, end));
        assert.ok(apart < TOLERANCE_PX, `${apart} px at ${t}`);
      }
    }
    assert.ok(sceneAt(trace, 20 + t, g).goal > 0);
  }
});

test("past tokens are as wide as they cost", () => {
  const { trace } = traceOf(30, (t) => t % 4);
  const g = geometry(900, 340);
  for (const band of sceneAt(trace, 20, g).bands) {
    if (band.token < 20) assert.ok(Math.abs(band.x1 - band.x0 - g.k * trace.cost[band.token]) < 0.01);
  }
});

test("the stop cell begins at whole bytes, lies in its box, and none twice as large does", () => {
  const { trace } = traceOf(300, (t) => t % 11);
  for (let t = 0; t <= trace.count; t += 1) {
    const { low, rng, out } = registers(trace, t);
    const { depth, m } = stopCell({ low, rng, out });
    const unit = 2 ** (8 * out + 32 - depth);
    assert.ok(m * unit >= low && (m + 1) * unit <= low + rng);
    assert.equal((m * unit) % 2 ** 24, 0, "whole bytes name its beginning");
    const fits = (m / 2) % 1 === 0 && m * unit + 2 * unit <= low + rng;
    assert.ok(!fits || depth === 8 * out);
  }
});

test("ruler cells tile the picture at every depth", () => {
  const { trace } = traceOf(60, (t) => t % 6);
  const g = geometry(900, 340);
  for (let f = 3; f <= trace.count; f += 0.61) {
    const camera = cameraAt(trace, f);
    const cells = cellsAt(trace, camera, g, 4);
    const depths = new Set(cells.map((cell) => cell.depth));
    for (const depth of depths) {
      const row = cells.filter((cell) => cell.depth === depth);
      row.slice(1).forEach((cell, i) => assert.ok(Math.abs(cell.y0 - row[i].y1) < 1e-3));
      assert.ok(row[0].y0 <= 0.01 && row[row.length - 1].y1 >= g.height - 0.01);
    }
    assert.ok(uOf(camera, g, yOf(camera, g, 0.25)) - 0.25 < 1e-9);
    const carry = carryRow(trace, camera, g);
    assert.ok(carry === null || Number.isFinite(carry));
  }
});

test("a tap on a band names its token, a tap on the goal the token under way", () => {
  const { trace } = traceOf(30, () => 3);
  const g = geometry(900, 340);
  const scene = sceneAt(trace, 10, g);
  const band = scene.bands.find((item) => item.token === 9);
  assert.equal(tokenAt(scene, (band.x0 + band.x1) / 2, 170), 9);
  const { truth } = scene.levels.find((level) => level.token === 10);
  assert.equal(tokenAt(scene, truth.x + 5, (truth.y0 + truth.y1) / 2), 10);
  assert.equal(tokenAt(scene, g.width - 1, -1e9), null);
});

test("an empty trace is a picture of the whole line", () => {
  const trace = parseTrace(makeMessage([]).message);
  const scene = sceneAt(trace, 0, geometry(900, 340));
  assert.equal(scene.levels.length, 0);
  assert.ok(Number.isFinite(scene.goal));
});
