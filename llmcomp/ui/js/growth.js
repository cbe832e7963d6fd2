// How the file grows, token by token, and below it what the coder spent beside the model's ideal.

import { make, shape } from "./dom.js";
import { fixed, say } from "./say.js";
import { endsAt } from "./wire.js";

const GROWTH_WIDE = 820;
const NARROW = 340;
const GROWTH_HIGH = 120;
const STRIP = 46;
const EDGE = 6;
const HEADROOM = 20; // for the label of the highest level
const MOST_POINTS = 600;
const LABEL = 13;
const LABEL_FROM = 0.85; // where the words at the curve's end begin: it must pass above them
const HELPED = 0.05; // bits a token; below, cost and ideal differ by rounding alone

/** The best of the classical compressors that the message names, as `[name, bytes]`, or null. */
export function bestClassical(sizes) {
  const others = Object.entries(sizes || {}).filter(([name]) => !["raw", "llmc", "alone"].includes(name));
  return others.sort((left, right) => left[1] - right[1])[0] || null;
}

/** Bits spent minus the model's ideal before every token; at last, the tail that fills whole bytes. */
export function excessBits(trace) {
  const sums = new Float64Array(trace.count + 2);
  for (let t = 0; t < trace.count; t += 1) sums[t + 1] = sums[t] + trace.cum[t + 1] - trace.cum[t] - trace.ideal[t];
  const tail = endsAt(trace, trace.count) ? 8 * trace.payload.length - trace.cum[trace.count] : 0;
  sums[trace.count + 1] = sums[trace.count] + tail;
  return sums;
}

/** The numbers behind both pictures, so that a test can hold them against the trace. */
export function growthOf(trace) {
  const { message } = trace;
  const whole = (message.lanes || 1) === 1 && trace.count === trace.total;
  const best = whole ? bestClassical(message.sizes) : null;
  const levels = best ? [[say("rawText"), message.sizes.raw], best] : [];
  const excess = excessBits(trace);
  const drift = excess[trace.count];
  return { levels, excess, helped: Math.abs(drift) > HELPED * trace.count, last: trace.cum[trace.count] / 8 };
}

/** Both pictures; `go(f)` answers a click, `mark(f)` moves the line that shows the place. */
export class Growth {
  constructor(trace, { go, narrow }) {
    this.trace = trace;
    this.width = narrow ? NARROW : GROWTH_WIDE;
    this.data = growthOf(trace);
    this.top = this.curve();
    this.strip = this.excess();
    const { excess, helped } = this.data;
    const bits = fixed(excess[excess.length - 1], 1);
    this.root = make("section", "lv-growth", [
      make("h2", "", say("growth")), this.top,
      make("p", "lv-note", say(helped ? "excessHelped" : "excess", { bits })), this.strip,
    ]);
    for (const picture of [this.top, this.strip]) picture.addEventListener("click", (event) => go(this.placeOf(event, picture)));
  }

  placeOf(event, picture) {
    const frame = picture.getBoundingClientRect();
    const part = ((event.clientX - frame.left) / frame.width) * this.width;
    return Math.round(Math.min(Math.max((part - EDGE) / (this.width - 2 * EDGE), 0), 1) * this.trace.count);
  }

  x(t) {
    return EDGE + ((this.width - 2 * EDGE) * Math.min(t, this.trace.count)) / Math.max(this.trace.count, 1);
  }

  points(count, value) {
    const step = Math.max(Math.ceil(count / MOST_POINTS), 1);
    const places = Array.from({ length: Math.floor(count / step) + 1 }, (_, i) => i * step);
    if (places[places.length - 1] !== count) places.push(count);
    return places.map((t) => `${this.x(t).toFixed(1)},${value(t).toFixed(1)}`).join(" ");
  }

  picture(height, name) {
    const svg = shape("svg", "lv-plot", { viewBox: `0 0 ${this.width} ${height}`, role: "img", "aria-label": name });
    return svg;
  }

  curve() {
    const { trace, data } = this;
    const top = Math.max(data.last, ...data.levels.map(([, bytes]) => bytes), 1);
    const y = (bytes) => GROWTH_HIGH - EDGE - ((GROWTH_HIGH - EDGE - HEADROOM) * bytes) / top;
    const svg = this.picture(GROWTH_HIGH, say("growth"));
    svg.append(shape("path", "lv-axis", { d: `M${EDGE},${y(0)}H${this.width - EDGE}` }));
    let taken = Infinity;
    for (const [name, bytes] of [...data.levels].sort((left, right) => left[1] - right[1])) {
      svg.append(shape("path", "lv-level", { d: `M${EDGE},${y(bytes)}H${this.width - EDGE}` }));
      const at = Math.max(Math.min(y(bytes) - 4, taken - LABEL), LABEL - 2);
      taken = at;
      svg.append(shape("text", "lv-plot-text", { x: EDGE, y: at }, say("growthBytes", { name, n: bytes })));
    }
    svg.append(shape("polyline", "lv-ours", { points: this.points(trace.count, (t) => y(trace.cum[t] / 8)) }));
    const below = y(trace.cum[Math.floor(LABEL_FROM * trace.count)] / 8) + LABEL;
    const words = say("growthBytes", { name: "llmcomp", n: Math.ceil(data.last) });
    svg.append(shape("text", "lv-plot-text lv-plot-ours", { x: this.width - EDGE, y: below < GROWTH_HIGH - EDGE ? below : y(data.last) - EDGE }, words));
    this.needle = shape("path", "lv-mark", {});
    svg.append(this.needle);
    return svg;
  }

  excess() {
    const { excess } = this.data;
    const [low, high] = [Math.min(...excess, 0), Math.max(...excess, 1)];
    const y = (bits) => STRIP - EDGE - ((STRIP - 2 * EDGE) * (bits - low)) / (high - low);
    const svg = this.picture(STRIP, say("excess", { bits: fixed(excess[excess.length - 1], 1) }));
    svg.append(shape("path", "lv-axis", { d: `M${EDGE},${y(0)}H${this.width - EDGE}` }));
    svg.append(shape("polyline", "lv-excess", { points: this.points(excess.length - 1, (t) => y(excess[t])) }));
    for (let i = 0, t = 0; i < this.trace.dr.length; i += 1) {
      while (this.trace.asked[t + 1] <= i) t += 1;
      if (this.trace.dflag[i] & 2) svg.append(shape("path", "lv-helper-tick", { d: `M${this.x(t)},${EDGE}v${STRIP - 2 * EDGE}` }));
    }
    this.tick = shape("path", "lv-mark", {});
    svg.append(this.tick);
    return svg;
  }

  mark(f) {
    const x = this.x(f).toFixed(1);
    this.needle.setAttribute("d", `M${x},${EDGE}V${GROWTH_HIGH - EDGE}`);
    this.tick.setAttribute("d", `M${x},2V${STRIP - 2}`);
  }
}
