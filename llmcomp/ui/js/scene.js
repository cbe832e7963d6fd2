// What is to be seen at f, as plain rectangles in pixels. Knows no canvas, so a test can check it.

import { cameraAt, xOf, xOfWidth, yOf } from "./camera.js";
import { candidates } from "./wire.js";

const LARGEST_ANCESTOR = 4096; // beyond, 32-bit places of neighbours would be off by a pixel
const SMALLEST_PX = 0.5;
const SMALLEST_GAP_PX = 16;
const CALLOUT_PX = 12;
const MOST_BANDS = 400;

/** Boxes of the path in base coordinates, outermost first: `{box, lo, w}`. */
export function pathBoxes(trace, camera, g) {
  const path = [{ box: camera.base, lo: 0, w: 1 }];
  for (let j = camera.base - 1; j >= 0 && path[0].w <= LARGEST_ANCESTOR * camera.s; j -= 1) {
    const w = path[0].w / trace.r[j];
    path.unshift({ box: j, lo: path[0].lo - trace.lo[j] * w, w });
  }
  let { lo, w } = path[path.length - 1];
  for (let j = camera.base; j < trace.count && (w / camera.s) * g.h >= SMALLEST_PX; j += 1) {
    lo += w * trace.lo[j];
    w *= trace.r[j];
    path.push({ box: j + 1, lo, w });
  }
  return path;
}

function rectangle(camera, g, lo, w) {
  return { y0: yOf(camera, g, lo), y1: yOf(camera, g, lo + w), x: xOfWidth(camera, g, w) };
}

const onScreen = (g, box) => box.y1 > 0 && box.y0 < g.height && box.y1 - box.y0 >= 1;

/** Places of the other candidates are taken relative to the true child: its edges are the sharp ones. */
function childBoxes(trace, camera, g, level, child) {
  const t = level.box;
  return candidates(trace, t)
    .filter(({ id }) => id !== trace.id[t])
    .map(({ id, lo, r }) => ({
      id,
      token: t,
      share: r,
      ...rectangle(camera, g, child.lo + (lo - trace.lo[t]) * level.w, r * level.w),
    }));
}

/** Empty stretches between neighbours: thousands of other words live there, in dictionary order. */
function gaps(g, boxes, frame) {
  const sorted = [...boxes].sort((left, right) => left.y0 - right.y0);
  const found = [];
  let from = { id: null, y1: frame.y0 };
  for (const next of [...sorted, { id: null, y0: frame.y1, y1: frame.y1 }]) {
    const y0 = Math.max(from.y1, 0);
    const y1 = Math.min(next.y0, g.height);
    if (y1 - y0 >= SMALLEST_GAP_PX) found.push({ y0, y1, before: from.id, after: next.id });
    from = next;
  }
  return found;
}

/** The choice made inside one box of the path: the true child, its rivals, the gaps between. */
function level(trace, camera, g, here, child) {
  const truth = {
    id: trace.id[here.box],
    token: here.box,
    share: trace.r[here.box],
    ...rectangle(camera, g, child.lo, child.w),
  };
  const others = childBoxes(trace, camera, g, here, child);
  const frame = rectangle(camera, g, here.lo, here.w);
  return {
    token: here.box,
    frame,
    truth,
    others: others.filter((box) => onScreen(g, box)),
    gaps: gaps(g, [truth, ...others], frame),
  };
}

/** Past tokens as stripes, each as wide as it cost bits: the past is a ruler of cost. */
function bands(trace, camera, g, boxes) {
  const list = [];
  const rows = new Map(boxes.map((box) => [box.box, rectangle(camera, g, box.lo, box.w)]));
  for (let t = camera.a; t >= 0 && list.length < MOST_BANDS; t -= 1) {
    const x0 = xOf(camera, g, trace.cum[t]);
    const x1 = xOf(camera, g, trace.cum[t + 1]);
    if (x1 < 0) break;
    const row = rows.get(t + 1) || { y0: -1, y1: g.height + 1 };
    list.push({ token: t, x0, x1, y0: row.y0, y1: row.y1, shown: t < camera.a ? 1 : camera.t });
  }
  return list;
}

/** Everything the microscope draws at f. */
export function sceneAt(trace, f, g) {
  const camera = cameraAt(trace, f);
  const boxes = pathBoxes(trace, camera, g);
  const levels = [];
  for (let i = 0; i + 1 < boxes.length; i += 1) {
    // Deeper choices than the next one would only be noise; the path itself goes on as a mark.
    if (boxes[i].box <= camera.a + 1) levels.push(level(trace, camera, g, boxes[i], boxes[i + 1]));
  }
  const goal = boxes[boxes.length - 1];
  const next = levels.find(({ token }) => token === camera.a);
  const tiny = next && next.truth.y1 - next.truth.y0 < CALLOUT_PX;
  return {
    camera,
    levels,
    bands: bands(trace, camera, g, boxes),
    goal: yOf(camera, g, goal.lo + goal.w / 2),
    callout: tiny ? next.truth : null,
  };
}

/** The token whose box or band lies under a point, or null: what a click or a finger means. */
export function tokenAt(scene, x, y) {
  const inside = (box) => y >= box.y0 && y < box.y1;
  const band = scene.bands.find((item) => item.shown === 1 && x >= item.x0 && x < item.x1 && inside(item));
  if (band) return band.token;
  const hit = scene.levels.filter((item) => inside(item.truth) && x >= item.truth.x).pop();
  return hit ? hit.token : null;
}
