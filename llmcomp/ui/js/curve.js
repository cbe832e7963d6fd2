// The loss of a training, epoch by epoch: two lines, and dashed the losses without a prompt.

import { make, shape } from "./dom.js";

const WIDTH = 320;
const HEIGHT = 120;
const LEFT = 40;
const BELOW = 18;
const ROOM = 6;
const KINDS = ["train", "held"];
const KIND_NAMES = ["training part", "held-out part"];

/** Least and greatest loss that must be seen, with some room; never a range of one point. */
export function lossRange({ points, plain }) {
  const seen = [...points.flatMap((point) => point.slice(1)), ...plain].filter((loss) => loss !== null);
  if (seen.length === 0) return [0, 1];
  const [low, high] = [Math.min(...seen), Math.max(...seen)];
  const margin = 0.08 * (high - low) || 0.05;
  return [low - margin, high + margin];
}

/** Places of one line's points in the picture; epochs without such a loss are left out. */
export function lossPath(message, kind, [low, high]) {
  const x = (epoch) => LEFT + ((WIDTH - LEFT - ROOM) * epoch) / message.epochs;
  const y = (loss) => ROOM + ((HEIGHT - BELOW - ROOM) * (high - loss)) / (high - low);
  return message.points
    .filter((point) => point[kind + 1] !== null)
    .map((point) => [x(point[0]), y(point[kind + 1])].map((place) => place.toFixed(1)).join(","));
}

function picture(message) {
  const range = lossRange(message);
  const [low, high] = range;
  const bottom = HEIGHT - BELOW;
  const y = (loss) => ROOM + ((bottom - ROOM) * (high - loss)) / (high - low);
  const svg = shape("svg", "ls-picture", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" });
  svg.append(shape("path", "ls-axis", { d: `M${LEFT},${ROOM}V${bottom}H${WIDTH - ROOM}` }));
  for (const loss of range) {
    svg.append(shape("text", "ls-text ls-end", { x: LEFT - 5, y: Math.min(y(loss) + 8, bottom) }, loss.toFixed(2)));
  }
  svg.append(shape("text", "ls-text", { x: LEFT, y: HEIGHT - 4 }, "epoch 0"));
  svg.append(shape("text", "ls-text ls-end", { x: WIDTH - ROOM, y: HEIGHT - 4 }, String(message.epochs)));
  KINDS.forEach((name, kind) => {
    const plain = message.plain[kind];
    if (plain !== null) svg.append(shape("path", `ls-plain ls-${name}`, { d: `M${LEFT},${y(plain)}H${WIDTH - ROOM}` }));
    const path = lossPath(message, kind, range);
    svg.append(shape("polyline", `ls-line ls-${name}`, { points: path.join(" ") }));
    const last = path.length ? path[path.length - 1].split(",") : null;
    if (last) svg.append(shape("circle", `ls-dot ls-${name}`, { cx: last[0], cy: last[1], r: 3 }));
  });
  return svg;
}

/** The curve in words, for its caption and for readers of the screen. */
export function lossWords({ points, plain }) {
  const last = points.length ? points[points.length - 1].slice(1) : [null, null];
  const said = KINDS.map((_, kind) => {
    if (plain[kind] === null) return "";
    const now = last[kind] === null ? "" : `${last[kind].toFixed(3)}, `;
    return `${KIND_NAMES[kind]} ${now}without a prompt ${plain[kind].toFixed(3)} (dashed)`;
  });
  return `Bits per byte: ${said.filter(Boolean).join("; ")}.`;
}

/** Mounts a loss curve; returns the function that shows `{epochs, points, plain}`, or nothing. */
export function mountCurve(root) {
  return (message) => {
    const empty = !message || !message.epochs;
    root.hidden = empty;
    if (empty) return root.replaceChildren();
    const keys = KINDS.map((name, kind) => make("span", `ls-key ls-${name}`, KIND_NAMES[kind])).filter(
      (_, kind) => message.plain[kind] !== null,
    );
    return root.replaceChildren(make("div", "ls-keys", keys), picture(message), make("p", "caption", lossWords(message)));
  };
}
