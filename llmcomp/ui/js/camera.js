// The camera law. Down is the number line, right is bits; one bit to the right is a zoom by two.
//
// State is one real number f = a + t: box a (the text before token a) and the part t of the way
// into token a. With r = r[a] and the fixed point q = lo[a] / (1 - r):
//   s = r^t,  c = q (1 - s),  D = cum[a] - log2 s
//   y(u) = top + (u - c) / s * 0.88 H,   x(bits) = x0 + k (bits - D)
// Nothing is expressed from the start of the text, so 2^-5000 never exists. From half way on the
// same camera is written in the coordinates of the child (s' = s / r, c' = q (1 - s')): no
// subtraction of nearly equal numbers is left, and a token of 60 bits stays sharp.

const FILL = 0.88;
const PAST = 0.3;
const BITS_WIDE = 16;
const BITS_NARROW = 9;
export const NARROW_PX = 560;

/** Sizes in pixels that the law needs, from the width and height of the picture. */
export function geometry(width, height) {
  const bits = width < NARROW_PX ? BITS_NARROW : BITS_WIDE;
  return {
    width,
    height,
    h: FILL * height,
    top: ((1 - FILL) / 2) * height,
    x0: PAST * width,
    k: width / bits,
  };
}

/** Splits f into the token under way and the part of it, always with a real token. */
export function anchor(trace, f) {
  const bounded = Math.min(Math.max(f, 0), trace.count);
  const a = Math.min(Math.floor(bounded), Math.max(trace.count - 1, 0));
  return { a, t: bounded - a };
}

/** The camera at f: `base` names the box in whose coordinates s and c are given. */
export function cameraAt(trace, f) {
  const { a, t } = anchor(trace, f);
  if (trace.count === 0) return { a: 0, t: 0, base: 0, s: 1, c: 0, depth: 0 };
  const r = trace.r[a];
  const q = r < 1 ? trace.lo[a] / (1 - r) : 0;
  const inChild = t >= 0.5;
  const s = inChild ? r ** (t - 1) : r ** t;
  const base = inChild ? a + 1 : a;
  return { a, t, base, s, c: q * (1 - s), depth: trace.cum[base] - Math.log2(s) };
}

/** Row of the place u of the base box. */
export function yOf(camera, g, u) {
  return g.top + ((u - camera.c) / camera.s) * g.h;
}

/** The place of the base box that is drawn in row y. */
export function uOf(camera, g, y) {
  return camera.c + ((y - g.top) / g.h) * camera.s;
}

/** Column of a depth in bits. */
export function xOf(camera, g, bits) {
  return g.x0 + g.k * (bits - camera.depth);
}

/** Column of the left edge of a box as wide as w base boxes. */
export function xOfWidth(camera, g, w) {
  return g.x0 + g.k * Math.log2(camera.s / w);
}
