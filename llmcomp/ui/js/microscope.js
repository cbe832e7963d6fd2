// Draws a scene on a canvas. All text goes through fillText; nothing here is ever parsed as HTML.

import { cameraAt, geometry, NARROW_PX, yOf } from "./camera.js";
import { costClass } from "./colours.js";
import { ease } from "./play.js";
import { carryRow, cellEdges, cellsAt, stopCell } from "./ruler.js";
import { bitsText, say, shareText } from "./say.js";
import { sceneAt } from "./scene.js";
import { shorten } from "./label.js";
import { foreignNeedle, needleAt } from "./needle.js";
import { questionEdges } from "./ladder.js";
import { endsAt, registers } from "./wire.js";

const USUAL_LETTER = 16; // px of the page's letters in most browsers
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif";
const LABEL_PX = 11;
const BOTH_PX = 40;
const BAND_LABEL_PX = 16;
const LONGEST_LABEL = 28;
const SEEN = 0.12; // part of the way into a box at which its reader is sure of it
const HATCH_PX = 7;

/** Widths of the picture and of the ruler beside it. */
export function layoutOf(width, height) {
  const levels = width < NARROW_PX ? 2 : 4;
  const column = width < NARROW_PX ? 30 : 34;
  const ruler = levels * column;
  return { g: geometry(width - ruler, height), ruler, levels, column, height };
}

const clamp = (value, least, most) => Math.min(Math.max(value, least), most);

/**
 * One picture; remembers the last scene so that a click can be understood.
 *
 * `mode` says what is known: `blind` draws the number and keeps the word that is looked for a
 * secret, `other` is a second trace whose first `split` tokens are the same, `asking` shows the
 * questions of the token under way.
 */
export class Microscope {
  constructor(canvas, trace, label, mode = {}) {
    this.canvas = canvas;
    this.trace = trace;
    this.label = label;
    this.mode = mode;
    this.scene = null;
    this.lit = null;
  }

  /** Takes the size from the page; false while the view is hidden. */
  /** Letters grow with those of the page, and everything around them likewise. */
  resize() {
    const { clientWidth, clientHeight } = this.canvas;
    if (clientWidth === 0 || clientHeight === 0) return false;
    this.zoom = parseFloat(getComputedStyle(document.documentElement).fontSize) / USUAL_LETTER || 1;
    const scale = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(clientWidth * scale);
    this.canvas.height = Math.round(clientHeight * scale);
    this.context = this.canvas.getContext("2d");
    this.context.setTransform(scale * this.zoom, 0, 0, scale * this.zoom, 0, 0);
    this.layout = layoutOf(clientWidth / this.zoom, clientHeight / this.zoom);
    return true;
  }

  draw(f, colours) {
    if (!this.layout) return;
    const { g } = this.layout;
    this.colours = colours;
    this.scene = sceneAt(this.trace, f, g);
    this.fill(colours.paper, 0, 0, g.width + this.layout.ruler, g.height);
    this.clipped(0, g.width, () => {
      this.drawLevels();
      this.drawBands();
      this.drawOutline();
      if (this.mode.asking) this.drawQuestion();
      if (this.mode.blind || this.mode.other) this.drawNeedles();
      else this.drawGoal();
    });
    this.clipped(g.width, this.layout.ruler, () => this.drawRuler());
    if (endsAt(this.trace, f) && !this.mode.blind && !this.mode.other) this.drawStop();
  }

  clipped(x, width, paint) {
    const { context } = this;
    context.save();
    context.beginPath();
    context.rect(x, 0, width, this.layout.height);
    context.clip();
    paint();
    context.restore();
  }

  fill(colour, x, y, width, height, alpha = 1) {
    this.context.globalAlpha = alpha;
    this.context.fillStyle = colour;
    this.context.fillRect(x, y, width, height);
    this.context.globalAlpha = 1;
  }

  text(words, x, y, { size = 13, weight = 400, style = "normal", colour, align = "left", alpha = 1, room } = {}) {
    const { context } = this;
    context.globalAlpha = alpha;
    context.font = `${style} ${weight} ${size}px ${FONT}`;
    context.textAlign = align;
    context.textBaseline = "middle";
    context.direction = "ltr";
    context.fillStyle = colour || this.colours.ink;
    if (room === undefined || context.measureText(words).width <= room) context.fillText(words, x, y);
    context.globalAlpha = 1;
  }

  measure(words, size, weight) {
    this.context.font = `normal ${weight} ${size}px ${FONT}`;
    return this.context.measureText(words).width;
  }

  rowOf(box) {
    const y0 = clamp(box.y0, -2, this.layout.height + 2);
    const y1 = clamp(box.y1, -2, this.layout.height + 2);
    return { y: y0, height: y1 - y0, middle: (y0 + y1) / 2 };
  }

  drawLevels() {
    const { camera, levels } = this.scene;
    const arriving = ease(clamp((camera.t - 0.6) / 0.35, 0, 1));
    for (const level of levels) {
      const ahead = level.token > camera.a;
      const alpha = ahead ? arriving : 1;
      // Labels of the box being entered give way to the words inside it.
      const words = level.token === camera.a ? 1 - ease(clamp((camera.t - 0.35) / 0.3, 0, 1)) : alpha;
      if (alpha > 0) this.drawLevel(level, alpha, words);
    }
  }

  drawLevel(level, alpha, words) {
    const past = level.token < this.scene.camera.a;
    for (const box of level.others) this.drawBox(box, alpha, past ? 0 : words, false);
    this.drawBox(level.truth, alpha, past ? 0 : words, !past && this.known(level.token));
    if (!past) for (const gap of level.gaps) this.drawGap(gap, level, words);
  }

  /** Whether the word looked for may be shown; to a decoder only once the number stands in its box. */
  known(token) {
    const { camera } = this.scene;
    return !this.mode.blind || token < camera.a || (token === camera.a && camera.t > SEEN);
  }

  drawBox(box, alpha, words, truth) {
    const { g } = this.layout;
    const { context, colours } = this;
    const { y, height, middle } = this.rowOf(box);
    if (height < 1) return;
    const x = Math.max(box.x, -2);
    const cost = -Math.log2(box.share);
    this.fill(colours.paper, x, y, g.width - x, height, alpha);
    this.fill(truth ? colours.truth : colours.tint, x, y, g.width - x, height, alpha);
    context.globalAlpha = alpha * (height > 4 ? 1 : 0.5);
    context.lineWidth = 1;
    context.strokeStyle = truth ? colours.word : colours.line;
    context.strokeRect(Math.round(x) + 0.5, Math.round(y) + 0.5, g.width - x + 4, Math.max(Math.round(height) - 1, 1));
    context.globalAlpha = 1;
    if (height >= LABEL_PX) this.drawBoxLabel(box, x, middle, height, cost, words, truth);
  }

  drawBoxLabel(box, x, middle, height, cost, alpha, truth) {
    const { g } = this.layout;
    const size = clamp(height * 0.5, 11, height >= BOTH_PX ? 17 : 13);
    const weight = truth ? 700 : 400;
    const name = shorten(this.label(box.id), LONGEST_LABEL);
    const left = Math.max(x, 0) + 8;
    this.text(name, left, middle, { size, weight, alpha, room: g.width - left });
    if (height < BOTH_PX) return;
    const after = left + this.measure(name, size, weight) + 10;
    const share = `${shareText(box.share)} · ${say("bits", { bits: bitsText(cost) })}`;
    this.text(share, after, middle, { size: 12, colour: this.colours.soft, alpha, room: g.width - after - 4 });
  }

  drawGap(gap, level, alpha) {
    const { g } = this.layout;
    const name = (id) => (id === null ? "" : shorten(this.label(id), 14));
    const x = clamp(level.frame.x, 0, g.width) + g.k * 2.5;
    const words = `… ${name(gap.before)} → ${name(gap.after)}`.trim();
    const options = { size: 12, style: "italic", colour: this.colours.soft, alpha, room: g.width - x };
    if (gap.before !== null || gap.after !== null) this.text(words, x, (gap.y0 + gap.y1) / 2, options);
  }

  drawBands() {
    for (const band of this.scene.bands) {
      const { y, height, middle } = this.rowOf(band);
      const width = band.x1 - band.x0;
      if (height < 1 || band.shown === 0) continue;
      const cost = this.trace.cost[band.token];
      this.fill(this.colours.paper, band.x0, y, Math.max(width, 1), height, band.shown);
      this.fill(this.colours.cost[costClass(cost)], band.x0, y, Math.max(width, 1), height, band.shown);
      this.fill(this.colours.line, band.x0, y, 1, height, band.shown);
      if (this.mode.other && band.token >= this.mode.split) this.hatch(band.x0, y, width, height);
      if (this.lit === band.token) this.fill(this.colours.word, band.x0, y, Math.max(width, 2), 4);
      if (width >= BAND_LABEL_PX && height > 40) this.drawBandLabel(band, width, middle, cost);
    }
  }

  /** Diagonal strokes in the colour of errors: words that nobody wrote. */
  hatch(x, y, width, height) {
    const { context, colours } = this;
    context.save();
    context.beginPath();
    context.rect(x, y, width, height);
    context.clip();
    context.strokeStyle = colours.error;
    context.globalAlpha = 0.35;
    context.lineWidth = 1;
    const right = Math.min(x + width, this.layout.g.width);
    for (let at = Math.max(x, 0) - height; at < right; at += HATCH_PX) this.stroke(at, y + height, at + height, y);
    context.restore();
  }

  drawBandLabel(band, width, middle, cost) {
    const name = this.label(this.trace.id[band.token]);
    const left = Math.max(band.x0, 0);
    const room = Math.min(band.x1, this.layout.g.width) - left;
    const x = left + room / 2;
    const options = { align: "center", colour: this.colours.ink, alpha: band.shown };
    if (this.measure(name, 13, 600) <= room - 6) {
      this.text(name, x, middle - 9, { size: 13, weight: 600, ...options });
      this.text(bitsText(cost), x, middle + 9, { size: 12, ...options, room: width - 4 });
      return;
    }
    if (room < BAND_LABEL_PX) return;
    const { context } = this;
    context.save();
    context.translate(x, middle);
    context.rotate(-Math.PI / 2);
    this.text(shorten(name, 20), 0, 0, { size: 12, weight: 600, ...options, room: this.layout.height - 24 });
    context.restore();
  }

  /** The box that fills the view: outlined, its name above it. */
  drawOutline() {
    const { camera, levels } = this.scene;
    const { g } = this.layout;
    const level = levels.find(({ token }) => token === camera.a);
    if (!level) return;
    const secret = !this.known(camera.a);
    const fading = 1 - ease(clamp(camera.t * 2, 0, 1));
    this.outline(level.frame, Math.max(fading, 0.15));
    if (!secret) this.outline(level.truth, 1 - fading);
    const entered = camera.t >= 0.5 ? camera.a : camera.a - 1;
    const name = entered < 0 ? say("wholeLine") : say("inside", { word: shorten(this.label(this.trace.id[entered]), LONGEST_LABEL) });
    const alpha = Math.abs(camera.t - 0.5) * 2;
    this.text(name, g.x0 + 2, g.top / 2 + 1, { size: 12, weight: 700, colour: this.colours.word, alpha });
  }

  outline(box, alpha) {
    const { context, colours } = this;
    const { g } = this.layout;
    const { y, height } = this.rowOf(box);
    context.globalAlpha = alpha;
    context.lineWidth = 2;
    context.strokeStyle = colours.word;
    context.strokeRect(Math.max(box.x, -3), y, g.width - box.x + 6, Math.max(height, 1));
    context.globalAlpha = 1;
  }

  /** Where the whole text lies: a mark at the edge, and a name when its next box is a hairline. */
  drawGoal() {
    const { goal, callout, camera } = this.scene;
    const { g } = this.layout;
    const { context, colours } = this;
    const y = clamp(goal, 4, g.height - 4);
    context.fillStyle = colours.word;
    context.beginPath();
    context.moveTo(g.width - 9, y);
    context.lineTo(g.width, y - 5);
    context.lineTo(g.width, y + 5);
    context.fill();
    // On the floor of questions the label of the question stands there.
    if (callout && camera.t < 0.9 && !this.mode.asking) this.drawCallout(callout);
  }

  drawCallout(box) {
    const { g } = this.layout;
    const { context, colours } = this;
    const words = say("here", { word: shorten(this.label(box.id), LONGEST_LABEL) });
    const wide = this.measure(words, 13, 700) + 16;
    // To the right, where no labels stand: they begin at the left edges of their boxes.
    const target = { x: g.width - 16, y: clamp((box.y0 + box.y1) / 2, 2, g.height - 2) };
    const x = Math.max(target.x - wide - 40, g.x0 + 6);
    const y = clamp(target.y + (target.y > g.height / 2 ? -40 : 40), g.top + 14, g.height - g.top - 14);
    context.strokeStyle = colours.word;
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(x + wide, y);
    context.lineTo(target.x, target.y);
    context.stroke();
    this.fill(colours.paper, x, y - 13, wide, 26);
    context.strokeRect(x, y - 13, wide, 26);
    this.text(words, x + 8, y, { size: 13, weight: 700, colour: colours.word });
  }

  /** The number, and beside it the damaged one: one line as long as they agree. */
  drawNeedles() {
    const { camera } = this.scene;
    const { colours, mode, trace } = this;
    if (!mode.other) return this.drawNeedle(needleAt(trace, camera.base), colours.digit, say("needle"), 0);
    this.drawNeedle(foreignNeedle(trace, mode.other, mode.split, camera.base), colours.digit, say("trueNumber"), -1);
    return this.drawNeedle(needleAt(trace, camera.base), colours.error, say("bentNumber"), 1);
  }

  /** A line across the picture with its name above (`side` -1), below (1) or on it (0). */
  drawNeedle(u, colour, name, side) {
    const { g } = this.layout;
    const { context } = this;
    const y = yOf(this.scene.camera, g, u);
    if (y < -1 || y > g.height + 1) return;
    context.strokeStyle = colour;
    context.lineWidth = 2;
    context.setLineDash(side > 0 ? [6, 4] : []);
    this.stroke(0, y, g.width, y);
    context.setLineDash([]);
    const wide = this.measure(name, 12, 700) + 12;
    const middle = clamp(side === 0 ? y : y + side * 13, 12, g.height - 12);
    this.fill(this.colours.paper, g.width - wide - 8, middle - 10, wide, 20, 0.9);
    this.text(name, g.width - wide - 2, middle, { size: 12, weight: 700, colour });
  }

  /** The question asked at this depth of the fall: the box so far, and where it is divided. */
  drawQuestion() {
    const { camera } = this.scene;
    const { g } = this.layout;
    const { colours } = this;
    if (camera.a >= this.trace.count || camera.t >= 1) return;
    const asked = questionEdges(this.trace, camera.a, camera.t, camera.base > camera.a);
    if (!asked) return;
    const [y0, edge, y1] = [asked.lo, asked.edge, asked.lo + asked.w].map((u) => clamp(yOf(camera, g, u), -2, g.height + 2));
    this.fill(colours.paper, g.x0, 0, g.width - g.x0, Math.max(y0, 0), 0.65);
    this.fill(colours.paper, g.x0, y1, g.width - g.x0, Math.max(g.height - y1, 0), 0.65);
    this.context.strokeStyle = colours.word;
    this.context.lineWidth = 2;
    this.context.setLineDash([8, 5]);
    this.stroke(g.x0, edge, g.width, edge);
    this.context.setLineDash([]);
    const words = say("question", { word: shorten(this.label(asked.cut), 18) });
    const wide = this.measure(words, 13, 700) + 16;
    const y = clamp(edge, 16, g.height - 16);
    this.fill(colours.word, g.width - wide - 14, y - 13, wide, 26);
    this.text(words, g.width - wide - 6, y, { size: 13, weight: 700, colour: colours.paper });
  }

  drawRuler() {
    const { g, ruler, levels, column } = this.layout;
    const { camera } = this.scene;
    const { colours, context } = this;
    const state = registers(this.trace, camera.base);
    const stop = stopCell(state);
    this.fill(colours.paper, g.width, 0, ruler, g.height);
    for (const cell of cellsAt(this.trace, camera, g, levels)) {
      const x = g.width + column * (cell.depth - camera.depth);
      const y0 = clamp(cell.y0, -2, g.height + 2);
      const y1 = clamp(cell.y1, -2, g.height + 2);
      this.drawCell(cell, x, y0, y1, column, stop);
    }
    const carry = carryRow(this.trace, camera, g);
    context.strokeStyle = colours.digit;
    if (carry !== null) {
      context.setLineDash([2, 4]);
      this.stroke(g.width, carry, g.width + ruler, carry);
      context.setLineDash([]);
    }
    context.lineWidth = 1;
    context.strokeStyle = colours.line;
    this.stroke(g.width + 0.5, 0, g.width + 0.5, g.height);
  }

  stroke(x0, y0, x1, y1) {
    this.context.beginPath();
    this.context.moveTo(x0, y0);
    this.context.lineTo(x1, y1);
    this.context.stroke();
  }

  drawCell(cell, x, y0, y1, column, stop) {
    const { colours, context } = this;
    const isStop = stop && stop.depth === cell.depth && stop.m === cell.m;
    const height = y1 - y0;
    if (isStop) this.fill(colours.digit, x, y0, column, height, 0.85);
    else if (cell.digit) this.fill(colours.digit, x, y0, column, height, 0.1);
    if (height < 3) return;
    context.lineWidth = 1;
    context.strokeStyle = colours.digit;
    context.globalAlpha = 0.45;
    context.strokeRect(x + 0.5, y0 + 0.5, column - 1, height - 1);
    context.globalAlpha = 1;
    const size = clamp(height * 0.7, 8, 15);
    const colour = isStop ? colours.paper : colours.digit;
    const options = { size, weight: 600, align: "center", colour };
    const middle = x + column / 2;
    const whole = middle > this.layout.g.width + 10 && middle < this.layout.g.width + this.layout.ruler - 7;
    if (height >= 9 && whole) this.text(String(cell.digit), middle, (y0 + y1) / 2, options);
  }

  /** At the end: the cell that is the file's last digits, named in the picture. */
  drawStop() {
    const { g } = this.layout;
    const { colours } = this;
    const camera = cameraAt(this.trace, this.trace.count);
    const state = registers(this.trace, camera.base);
    const stop = stopCell(state);
    if (!stop) return;
    const [u0, u1] = cellEdges(state, stop.depth, stop.m);
    const y0 = clamp(yOf(camera, g, u0), 0, g.height);
    const y1 = clamp(yOf(camera, g, u1), 0, g.height);
    const words = say("stopHere", { n: this.trace.payload.length });
    const wide = this.measure(words, 13, 700) + 16;
    this.fill(colours.digit, g.x0, y0, g.width - g.x0, 1.5);
    this.fill(colours.digit, g.x0, y1 - 1.5, g.width - g.x0, 1.5);
    this.fill(colours.digit, g.x0, y0, g.width - g.x0, y1 - y0, 0.1);
    const y = clamp((y0 + y1) / 2, 16, g.height - 16);
    this.fill(colours.digit, g.width - wide - 14, y - 13, wide, 26);
    this.text(words, g.width - wide - 6, y, { size: 13, weight: 700, colour: colours.paper });
  }
}
