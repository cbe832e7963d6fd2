// One linked view: strip, tape, picture, controls and card over one trace.

import { coloursOf } from "./colours.js";
import { button, make } from "./dom.js";
import { actionOf, KEY_LIST } from "./keys.js";
import { shorten, tokenLabel } from "./label.js";
import { Microscope } from "./microscope.js";
import { Player, SPEEDS } from "./play.js";
import { say, tokenFacts } from "./say.js";
import { showCard } from "./card.js";
import { Strip } from "./strip.js";
import { showTable } from "./table.js";
import { tapeAt } from "./tape.js";
import { tokenAt } from "./scene.js";
import { parseTrace } from "./wire.js";

const HERO_SEEN = "llmcomp-hero-played";
const HERO_DELAY_MS = 700;
const RESULT_DELAY_MS = 250;
const LONGEST_FRAME_S = 0.1;
const TAP_PX = 6;

const reducedMotion = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Local storage is refused in some embedded pages; then the hero simply plays again. */
function playedBefore() {
  try {
    const seen = window.localStorage.getItem(HERO_SEEN) === "1";
    window.localStorage.setItem(HERO_SEEN, "1");
    return seen;
  } catch {
    return false;
  }
}

class LinkedView {
  constructor(root) {
    this.root = root;
    this.frame = 0;
    this.stops = [];
  }

  /** Shows a new message; anything unreadable becomes a note, never an exception in the page. */
  show(value) {
    this.close();
    const message = typeof value === "string" ? JSON.parse(value || "null") : value;
    if (!message) return this.root.replaceChildren();
    if (!message.len) return this.root.replaceChildren(make("p", "lv-note", message.note || ""));
    try {
      this.trace = parseTrace(message);
    } catch (error) {
      return this.root.replaceChildren(make("p", "lv-note", `${say.unreadable} ${error.message}`));
    }
    this.label = (id) => tokenLabel(this.trace.words.get(id) || new Uint8Array());
    this.build(message);
    this.start(message);
    return undefined;
  }

  close() {
    window.cancelAnimationFrame(this.frame);
    window.clearTimeout(this.timer);
    this.frame = 0;
    this.stops.forEach((stop) => stop());
    this.stops = [];
  }

  build(message) {
    this.player = new Player(this.trace, { still: reducedMotion() });
    this.strip = new Strip(this.trace, {
      name: say.strip,
      pick: (t) => this.pick(t),
      look: (t) => this.look(t),
    });
    this.tape = make("div", "lv-tape", [], { role: "group", tabindex: "0", "aria-label": say.tape });
    this.canvas = make("canvas", "lv-canvas", [], { role: "img" });
    this.stage = make("div", "lv-stage", this.canvas, { tabindex: "0", role: "group", "aria-label": say.stage });
    this.scope = new Microscope(this.canvas, this.trace, this.label);
    this.table = make("div", "lv-tableview", [], { tabindex: "-1", role: "group", "aria-label": say.table });
    this.table.hidden = true;
    this.card = make("section", "lv-card", this.reading(), { "aria-label": say.touch });
    this.caption = make("p", "lv-caption");
    this.voice = make("p", "lv-voice", [], { role: "status", "aria-live": "polite" });
    const notes = [message.note, this.trace.total > this.trace.count && say.partOf(this.trace.count, this.trace.total)];
    this.root.replaceChildren(
      this.strip.root,
      this.tape,
      this.legend(),
      this.stage,
      this.table,
      this.controls(),
      this.help(),
      this.caption,
      ...notes.filter(Boolean).map((note) => make("p", "lv-note", note)),
      this.card,
      this.voice,
    );
    this.listen();
  }

  /** What stands in the card until a word is touched: how to read the picture. */
  reading() {
    const chips = say.costs.map((name, step) => make("span", `lv-done lv-cost-${step}`, name));
    return [
      make("p", "lv-hint", say.touch),
      make("p", "lv-hint", say.reading),
      make("p", "lv-costs", [make("span", "", say.costName), ...chips]),
    ];
  }

  legend() {
    const names = [say.past, say.ahead, say.digits].map((name) => make("span", "", name));
    return make("div", "lv-legend", names, { "aria-hidden": "true" });
  }

  controls() {
    this.playButton = button("lv-button lv-play", "", say.play, () => this.act("toggle"));
    this.scrub = make("input", "lv-scrub", [], {
      type: "range", min: "0", max: String(this.trace.count), step: "any", value: "0", "aria-label": say.scrub,
    });
    this.scrub.addEventListener("input", () => this.jump(Number(this.scrub.value)));
    this.speed = make("select", "lv-speed", SPEEDS.map((speed) => make("option", "", say.speed(speed), { value: String(speed) })), {
      "aria-label": say.speedLabel,
    });
    this.speed.addEventListener("change", () => {
      this.player.speed = Number(this.speed.value);
    });
    this.tableButton = button("lv-button", say.table, `${say.table} (T)`, () => this.act("table"));
    return make("div", "lv-controls", [
      button("lv-button", "‹", say.back, () => this.act("back")),
      this.playButton,
      button("lv-button", "›", say.forward, () => this.act("forward")),
      this.scrub,
      this.speed,
      this.tableButton,
      button("lv-button lv-help", "?", say.keys, () => this.act("help")),
    ]);
  }

  help() {
    const rows = KEY_LIST.map(([key, what]) => make("div", "", [make("kbd", "", key), make("span", "", what)]));
    this.helpBox = make("div", "lv-keys", rows, { role: "note", "aria-label": say.keys });
    this.helpBox.hidden = true;
    return this.helpBox;
  }

  listen() {
    this.root.onkeydown = (event) => {
      const action = actionOf(event);
      // Esc with nothing to close here belongs to the page: there it stops a running job.
      if (!action || (action === "skip" && !this.canSkip())) return;
      event.preventDefault();
      event.stopPropagation();
      this.act(action);
    };
    this.listenDrag();
    const redraw = () => this.resize();
    const sizes = new ResizeObserver(redraw);
    sizes.observe(this.canvas);
    const theme = new MutationObserver(() => {
      this.colours = null;
      this.wake();
    });
    theme.observe(document.body, { attributes: true, attributeFilter: ["class"] });
    this.stops.push(() => sizes.disconnect(), () => theme.disconnect());
  }

  /** A drag scrubs, a tap goes to what was tapped; up and down stay with the page. */
  listenDrag() {
    let from = null;
    this.stage.addEventListener("pointerdown", (event) => {
      from = { x: event.clientX, f: this.player.f, moved: false };
      this.stage.setPointerCapture(event.pointerId);
    });
    this.stage.addEventListener("pointermove", (event) => {
      if (!from) return this.hover(event);
      const dx = event.clientX - from.x;
      from.moved = from.moved || Math.abs(dx) > TAP_PX;
      if (from.moved) this.jump(this.draggedTo(from.f, dx));
      return undefined;
    });
    const end = (event) => {
      if (from && !from.moved && event.type === "pointerup") this.tap(event);
      from = null;
    };
    this.stage.addEventListener("pointerup", end);
    this.stage.addEventListener("pointercancel", end);
  }

  /** Dragging follows the picture: so many pixels are so many bits of the text. */
  draggedTo(f, dx) {
    const { cum, count } = this.trace;
    const t = Math.min(Math.floor(f), count - 1);
    if (t < 0) return 0;
    const start = cum[t] + (f - t) * (cum[t + 1] - cum[t]);
    const bits = Math.min(Math.max(start - dx / this.scope.layout.g.k, 0), cum[count]);
    let at = t;
    while (at > 0 && cum[at] > bits) at -= 1;
    while (at < count - 1 && cum[at + 1] < bits) at += 1;
    const width = cum[at + 1] - cum[at];
    return at + (width > 0 ? Math.min((bits - cum[at]) / width, 1) : 0);
  }

  under(event) {
    const frame = this.canvas.getBoundingClientRect();
    const { scene } = this.scope;
    return scene ? tokenAt(scene, event.clientX - frame.left, event.clientY - frame.top) : null;
  }

  /** The mouse over a band or box lights the same word in the text. */
  hover(event) {
    const t = event.pointerType === "mouse" && !this.player.moving ? this.under(event) : null;
    if (t !== this.scope.lit) this.look(t);
  }

  tap(event) {
    const t = this.under(event);
    if (t !== null) this.pick(t);
  }

  act(action) {
    const { player } = this;
    const acts = {
      toggle: () => this.toggle(),
      back: () => this.step(-1),
      forward: () => this.step(1),
      back10: () => this.step(-10),
      forward10: () => this.step(10),
      start: () => this.jump(0),
      end: () => this.jump(this.trace.count),
      slower: () => player.faster(-1),
      faster: () => player.faster(1),
      table: () => this.toggleTable(),
      help: () => {
        this.helpBox.hidden = !this.helpBox.hidden;
      },
      skip: () => this.skip(),
    };
    acts[action]();
    this.wake();
  }

  toggle() {
    if (this.player.moving) this.player.pause();
    else if (this.player.still) this.stepOrRestart();
    else this.player.play();
  }

  /** Without motion Play is Step, from the end back to the start. */
  stepOrRestart() {
    if (this.player.f >= this.trace.count) this.jump(0);
    else this.step(1);
  }

  canSkip() {
    return !this.helpBox.hidden || !this.table.hidden || this.player.moving;
  }

  skip() {
    if (!this.helpBox.hidden) this.helpBox.hidden = true;
    else if (!this.table.hidden) this.toggleTable();
    else if (this.player.moving) this.jump(this.trace.count);
  }

  step(tokens) {
    const hadFocus = this.strip.hasFocus;
    this.player.step(tokens);
    const f = this.player.glide ? this.player.glide.to : this.player.f;
    const t = Math.max(Math.ceil(f) - 1, 0);
    this.speak(t);
    if (hadFocus) this.strip.focus(t);
  }

  jump(f) {
    this.player.jump(f);
    this.wake();
  }

  pick(t) {
    this.player.goTo(t + 1);
    this.speak(t);
    this.wake();
  }

  look(t) {
    this.scope.lit = t;
    this.strip.light(t);
    if (t !== null) {
      this.openCard(t);
      this.card.classList.add("lv-open"); // a sheet on phones: only a touched word may raise it
    }
    this.wake();
  }

  openCard(t) {
    if (this.carded === t) return;
    this.carded = t;
    showCard(this.card, this.trace, t, this.label);
    this.card.setAttribute("aria-label", this.label(this.trace.id[t]));
    const close = button("lv-button lv-card-close", "×", say.close, () => this.closeCard());
    this.card.append(close);
  }

  closeCard() {
    this.card.classList.remove("lv-open");
  }

  toggleTable() {
    const open = this.table.hidden;
    const focused = this.stage === document.activeElement || this.table.contains(document.activeElement);
    this.table.hidden = !open;
    this.stage.hidden = open;
    this.tableButton.textContent = open ? say.picture : say.table;
    if (open) showTable(this.table, this.trace, Math.floor(this.player.f), this.label);
    // What is hidden drops the focus, and with it the keys: hand it to what takes its place.
    if (focused) (open ? this.table : this.stage).focus();
  }

  speak(t) {
    if (t >= this.trace.count) return;
    this.voice.textContent = say.token(tokenFacts(this.trace, t, (id) => shorten(this.label(id), 40)));
    this.openCard(t);
  }

  start(message) {
    this.carded = null;
    this.tapeAt = -1;
    this.captioned = null;
    this.colours = null;
    this.finished = false;
    this.resize();
    const hero = message.hero === true;
    if (this.player.still || (hero && playedBefore())) this.jump(this.trace.count);
    else this.timer = window.setTimeout(() => this.act("toggle"), hero ? HERO_DELAY_MS : RESULT_DELAY_MS);
    if (!hero) this.comeIntoSight();
    this.wake();
  }

  /** On a phone the picture stands above the text box: a new result must not stay out of sight. */
  comeIntoSight() {
    const frame = this.stage.getBoundingClientRect();
    if (frame.height > 0 && (frame.top < 0 || frame.bottom > window.innerHeight)) {
      this.root.scrollIntoView({ block: "start", behavior: this.player.still ? "auto" : "smooth" });
    }
  }

  resize() {
    if (this.scope.resize()) this.wake(true);
  }

  wake(now = false) {
    if (now && this.colours) this.draw();
    if (this.frame) return;
    this.last = performance.now();
    this.frame = window.requestAnimationFrame((time) => this.tick(time));
  }

  tick(time) {
    this.frame = 0;
    const dt = Math.min(Math.max((time - this.last) / 1000, 0), LONGEST_FRAME_S);
    this.last = time;
    if (!this.root.isConnected) return this.close();
    this.player.tick(dt);
    this.draw();
    // A hidden tab has size 0: the loop sleeps until the observer sees a size again.
    if (this.player.moving && this.canvas.clientWidth > 0) {
      this.frame = window.requestAnimationFrame((next) => this.tick(next));
    }
    return undefined;
  }

  draw() {
    const { player, trace } = this;
    this.colours = this.colours || { ...coloursOf(this.root) };
    this.scope.draw(player.f, this.colours);
    this.strip.show(player.f);
    this.drawTape(Math.floor(player.f));
    this.drawControls();
    this.drawCaption(player.f >= trace.count);
    this.describe();
  }

  drawTape(t) {
    if (t === this.tapeAt) return;
    this.tapeAt = t;
    const tape = tapeAt(this.trace, t);
    const part = (className, text, title) => make("span", className, text, title ? { title } : {});
    const chips = tape.settled.map((byte) => part("lv-chip", byte));
    const waiting = tape.waiting.map((byte) => part("lv-chip lv-waiting", byte, say.waiting));
    const window32 = part("lv-window", [
      make("b", "", tape.digits.slice(0, tape.agreed)),
      tape.digits.slice(tape.agreed),
    ], say.windowTitle);
    const hidden = tape.hidden ? [part("lv-hidden", say.hidden(tape.hidden))] : [];
    this.tape.replaceChildren(part("lv-zero", "0."), ...hidden, ...chips, ...waiting, window32);
    this.tape.classList.toggle("lv-carry", tape.carry);
    this.tape.scrollLeft = this.tape.scrollWidth;
  }

  drawControls() {
    const { player } = this;
    this.playButton.textContent = player.moving ? say.pause : say.play;
    this.playButton.setAttribute("aria-label", player.moving ? say.pause : say.play);
    this.scrub.value = String(player.f);
    this.scrub.setAttribute("aria-valuetext", `${Math.floor(player.f)} / ${this.trace.count}`);
    this.speed.value = String(player.speed);
  }

  drawCaption(end) {
    if (this.captioned === end) return;
    this.captioned = end;
    this.root.dataset.beat = end ? "2" : "1";
    this.caption.textContent = end ? this.resultText() : say.falling;
  }

  resultText() {
    const { sizes } = this.trace.message;
    const number = this.trace.payload.length;
    const characters = [...new TextDecoder().decode(this.trace.text)].length;
    if (!sizes || this.trace.message.lanes > 1 || this.trace.count < this.trace.total) return say.touch;
    return say.result({ characters, number, envelope: sizes.llmc - number, gzip: sizes.gzip });
  }

  /** The picture in words; only at rest, so that nothing is read out sixty times a second. */
  describe() {
    if (this.player.moving) return;
    const t = Math.ceil(this.player.f) - 1;
    const words = t < 0
      ? say.canvasStart(this.trace.total)
      : say.canvas(tokenFacts(this.trace, t, (id) => shorten(this.label(id), 40)));
    this.canvas.setAttribute("aria-label", words);
  }
}

/** Mounts a view into an element; returns the function that shows a message. */
export function mountView(root) {
  const view = new LinkedView(root);
  return (value) => view.show(value);
}
