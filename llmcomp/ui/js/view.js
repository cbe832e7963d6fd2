// One linked view: strip, tape, picture, controls, floors, bytes, growth and card over one trace.
//
// The trace that came with the message is `home`. What is shown may be another one that shares its
// beginning: a fork (what if another word stood there?) or the path of a damaged number.

import { ByteView, fileOf } from "./bytes.js";
import { ballot, showCard } from "./card.js";
import { NARROW_PX } from "./camera.js";
import { coloursOf } from "./colours.js";
import { verdictBox } from "./damage.js";
import { button, make, rename } from "./dom.js";
import { FLOORS, Floors } from "./floors.js";
import { dearest, forkAt } from "./fork.js";
import { Growth } from "./growth.js";
import { actionOf, keyList } from "./keys.js";
import { shorten, tokenLabel } from "./label.js";
import { partAfter, questionEdges } from "./ladder.js";
import { nextCarry } from "./machine.js";
import { Microscope } from "./microscope.js";
import { Player, SPEEDS } from "./play.js";
import { bitsText, fixed, say, shareText, speakIn, tokenFacts } from "./say.js";
import { tokenAt } from "./scene.js";
import { keep, kept } from "./store.js";
import { Strip } from "./strip.js";
import { showTable } from "./table.js";
import { drawTape } from "./tape.js";
import { focusYourText, Tour } from "./tour.js";
import { windowRow } from "./windows.js";
import { continued, parseTrace } from "./wire.js";

const HERO_SEEN = "llmcomp-hero-played";
const HERO_STARTS_MS = 700; // after navigation: time to read the first line, not more
const RESULT_DELAY_MS = 250;
const LONGEST_FRAME_S = 0.1;
const TAP_PX = 6;
const DEFAULT_FLIP = 0.4; // of the number: late enough to share a beginning, early enough to derail
const BEFORE_SPLIT = 2; // tokens both needles are watched together before they part
const SHORT_LABEL = 40;

const reducedMotion = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

class LinkedView {
  /** `ask(name, data)` reaches the server; without it only what the message holds can be shown. */
  constructor(root, ask) {
    this.root = root;
    this.ask = ask;
    this.frame = 0;
    this.stops = [];
    new MutationObserver(() => this.translate()).observe(document.documentElement, { attributes: true, attributeFilter: ["lang"] });
  }

  /** Shows a new message; anything unreadable becomes a note, never an exception in the page. */
  show(value) {
    const message = typeof value === "string" ? JSON.parse(value || "null") : value;
    if (message && message === this.message) return this.translate();
    if (message && message.damage && !message.len) return this.showDamage(message.damage);
    if (message && this.run && message.run === this.run) return this.goOn(message);
    this.close();
    this.message = message;
    this.home = null;
    this.run = null;
    if (!message) return this.root.replaceChildren();
    speakIn(message.lang || document.documentElement.lang);
    if (!message.len) return this.root.replaceChildren(make("p", "lv-note", message.say ? say(message.say) : message.note || ""));
    try {
      this.home = parseTrace(message);
    } catch (error) {
      return this.root.replaceChildren(make("p", "lv-note", `${say("unreadable")} ${error.message}`));
    }
    this.label = (id) => tokenLabel(this.home.words.get(id) || new Uint8Array());
    this.root.dataset.lane = String(message.lane ?? 0);
    this.build();
    this.start();
    return undefined;
  }

  /** More of a decoding under way, or at last the whole of it: the fall goes on where it is. */
  goOn(message) {
    const piece = parseTrace(message);
    const whole = message.live ? continued(this.home, piece) : piece;
    if (!whole) return; // a piece was lost: the whole will come
    const { f, speed } = this.player;
    const watching = this.trace === this.home && this.mode.blind;
    const playing = this.player.playing;
    this.message = message;
    this.home = whole;
    this.run = message.live ? message.run : null;
    this.result = null;
    if (!watching) return;
    this.label = (id) => tokenLabel(this.home.words.get(id) || new Uint8Array());
    this.enter(whole, this.mode);
    Object.assign(this.player, { f, speed, playing, live: message.live === true });
    this.wake();
  }

  /** The page speaks another language: the same place in the same trace, in other words. */
  translate() {
    if (!this.home) return;
    const { f } = this.player;
    this.close();
    speakIn(this.message.lang || document.documentElement.lang);
    this.build();
    this.enter(this.home, {});
    this.jump(f);
  }

  close() {
    window.cancelAnimationFrame(this.frame);
    window.clearTimeout(this.timer);
    this.frame = 0;
    this.stops.forEach((stop) => stop());
    this.stops = [];
  }

  build() {
    this.result = null;
    this.tape = make("div", "lv-tape", [], { role: "group", tabindex: "0", "aria-label": say("tape") });
    this.canvas = make("canvas", "lv-canvas", [], { role: "img" });
    this.stage = make("div", "lv-stage", this.canvas, { tabindex: "0", role: "group", "aria-label": say("stage") });
    this.stripBox = make("div", "lv-stripbox");
    this.table = make("div", "lv-tableview", [], { tabindex: "-1", role: "group", "aria-label": say("table") });
    this.table.hidden = true;
    this.card = make("section", "lv-card");
    this.voice = make("p", "lv-voice", [], { role: "status", "aria-live": "polite" });
    this.tour = new Tour((beat) => this.play(beat));
    this.floors = new Floors(() => this.changeFloor());
    this.verdict = make("div", "lv-verdict", [], { role: "status" });
    this.verdict.hidden = true;
    this.more = make("div", "lv-more");
    this.root.replaceChildren(
      this.stripBox, this.tape, this.legend(), this.stage, this.table, this.controls(), this.help(),
      this.tour.root, this.verdict, ...this.notes(), this.card, this.floors.root, this.more, this.voice,
    );
    this.listen();
  }

  notes() {
    const { note } = this.message;
    return [note && make("p", "lv-note", note), windowRow(this.home, this.ask)].filter(Boolean);
  }

  /** Puts a trace into the picture; `mode` says what is known of it, see `Microscope`. */
  enter(trace, mode) {
    const speed = this.player && this.player.speed;
    this.trace = trace;
    this.mode = mode;
    this.player = new Player(trace, { still: reducedMotion() });
    if (speed) this.player.speed = speed;
    this.strip = new Strip(trace, { name: say("strip"), pick: (t) => this.pick(t), look: (t) => this.look(t), falseFrom: mode.split });
    this.stripBox.replaceChildren(this.strip.root);
    const unread = mode.blind === true || (mode.name === "damage" && !this.player.still);
    this.strip.root.classList.toggle("lv-blind", unread);
    this.scope = new Microscope(this.canvas, trace, this.label, mode);
    this.scrub.max = String(trace.count);
    this.buildMore();
    this.carded = null;
    this.aimed = null;
    this.taped = -1;
    this.floors.drawn = null;
    this.dear = trace === this.home ? dearest(trace) : this.dear;
    this.result = this.result ?? this.resultText();
    this.root.dataset.mode = mode.name || "words";
    this.verdict.hidden = true;
    rename(this.blindButton, say(mode.blind ? "allWords" : "onlyNumber"), "D");
    if (!this.table.hidden) this.toggleTable();
    this.card.replaceChildren(...this.reading());
    this.card.setAttribute("aria-label", say("touch"));
    this.resize();
  }

  /** Growth and bytes belong to the text as it is, not to paths beside it. */
  buildMore() {
    this.growth = null;
    if (this.trace !== this.home) return this.more.replaceChildren();
    this.growth = new Growth(this.home, { go: (f) => this.jump(f), narrow: this.root.clientWidth < NARROW_PX });
    const canAsk = this.ask || this.message.damage;
    this.bytes = fileOf(this.home) && new ByteView(this.home, this.label, {
      look: (t) => this.look(t),
      go: (t) => this.jump(t),
      flip: canAsk ? (bit) => this.flip(bit) : null,
    });
    return this.more.replaceChildren(...[this.growth.root, this.bytes && this.bytes.root].filter(Boolean));
  }

  /** What stands in the card until a word is touched: how to read the picture. */
  reading() {
    const chips = [0, 1, 2, 3, 4].map((step) => make("span", `lv-done lv-cost-${step}`, say(`cost${step}`)));
    return [
      make("p", "lv-hint", say("touch")),
      make("p", "lv-hint", say("reading")),
      make("p", "lv-costs", [make("span", "", say("costName")), ...chips]),
    ];
  }

  legend() {
    const names = ["past", "ahead", "digits"].map((name) => make("span", "", say(name)));
    return make("div", "lv-legend", names, { "aria-hidden": "true" });
  }

  controls() {
    this.playButton = button("lv-button lv-play", "", say("play"), () => this.act("toggle"));
    this.scrub = make("input", "lv-scrub", [], { type: "range", min: "0", step: "any", value: "0", "aria-label": say("scrub") });
    this.scrub.addEventListener("input", () => this.jump(Number(this.scrub.value)));
    this.speed = make("select", "lv-speed", SPEEDS.map((n) => make("option", "", say("speed", { n }), { value: String(n) })), {
      "aria-label": say("speedLabel"),
    });
    this.speed.addEventListener("change", () => {
      this.player.speed = Number(this.speed.value);
    });
    this.blindButton = button("lv-button lv-number", say("onlyNumber"), `${say("onlyNumber")} (D)`, () => this.act("number"));
    this.tableButton = button("lv-button", say("table"), `${say("table")} (T)`, () => this.act("table"));
    return make("div", "lv-controls", [
      button("lv-button", "‹", say("back"), () => this.act("back")),
      this.playButton,
      button("lv-button", "›", say("forward"), () => this.act("forward")),
      this.scrub,
      this.speed,
      this.blindButton,
      this.tableButton,
      button("lv-button lv-help", "?", say("keys"), () => this.act("help")),
    ]);
  }

  help() {
    const rows = keyList().map(([key, what]) => make("div", "", [make("kbd", "", key), make("span", "", what)]));
    this.helpBox = make("div", "lv-keys", rows, { role: "note", "aria-label": say("keys") });
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
    const sizes = new ResizeObserver(() => this.resize());
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
      const dx = (event.clientX - from.x) / this.scope.zoom;
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
    const bits = Math.min(Math.max(start - dx / this.scope.layout.g.k, cum[0]), cum[count]);
    let at = t;
    while (at > 0 && cum[at] > bits) at -= 1;
    while (at < count - 1 && cum[at + 1] < bits) at += 1;
    const width = cum[at + 1] - cum[at];
    return at + (width > 0 ? Math.min((bits - cum[at]) / width, 1) : 0);
  }

  under(event) {
    const frame = this.canvas.getBoundingClientRect();
    const { scene, zoom } = this.scope;
    return scene ? tokenAt(scene, (event.clientX - frame.left) / zoom, (event.clientY - frame.top) / zoom) : null;
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
      back: () => this.stepBack(),
      forward: () => this.stepOn(),
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
      next: () => this.tour.next(),
      questions: () => this.floors.go(FLOORS.questions),
      machine: () => this.floors.go(FLOORS.machine),
      bytes: () => this.showBytes(),
      number: () => this.toggleNumber(),
      damage: () => this.damageHere(),
      carry: () => this.goToCarry(),
      candidateUp: () => this.aim(-1),
      candidateDown: () => this.aim(1),
      whatIf: () => this.forkAimed(),
    };
    acts[action]();
    this.wake();
  }

  toggle() {
    this.tour.beat = Math.min(this.tour.beat, 3); // moving on from a scene that stands still
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
    return !this.helpBox.hidden || !this.table.hidden || this.player.moving || this.trace !== this.home || this.mode.blind === true;
  }

  skip() {
    if (!this.helpBox.hidden) this.helpBox.hidden = true;
    else if (!this.table.hidden) this.toggleTable();
    else if (this.player.moving) this.jump(this.trace.count);
    else this.goHome();
  }

  /** Back to the text as it is, at the place where one was. */
  goHome(f = Math.min(this.player.f, this.mode.from ?? Infinity)) {
    this.enter(this.home, {});
    this.jump(f);
  }

  /** On the floor of questions a step is one question, elsewhere one token. */
  stepOn() {
    const { f } = this.player;
    const t = Math.min(Math.floor(f), this.trace.count - 1);
    const asked = this.floors.floor === FLOORS.questions && t >= 0 ? questionEdges(this.trace, t, f - t, false) : null;
    if (!asked) return this.step(1);
    const reached = asked.at + 1;
    this.player.goTo(t + partAfter(this.trace, t, reached));
    if (reached === this.trace.nd[t]) this.speak(t);
    return undefined;
  }

  stepBack() {
    const { f } = this.player;
    const t = Math.floor(f);
    const asked = this.floors.floor === FLOORS.questions && f > t ? questionEdges(this.trace, t, f - t, false) : null;
    if (!asked || asked.at === 0) return this.step(-1);
    let at = asked.at - 1;
    while (at > 0 && partAfter(this.trace, t, at) >= f - t - 1e-9) at -= 1;
    this.player.goTo(t + partAfter(this.trace, t, at));
    return undefined;
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
    if (this.bytes) this.bytes.light(t);
    if (t !== null) {
      this.openCard(t);
      this.card.classList.add("lv-open"); // a sheet on phones: only a touched word may raise it
    }
    this.wake();
  }

  openCard(t) {
    if (this.carded === t || (this.mode.blind && t >= this.player.f)) return;
    this.carded = t;
    this.aimed = null;
    const fork = this.trace === this.home ? (candidate) => this.fork(t, candidate) : () => {};
    showCard(this.card, this.trace, t, this.label, fork);
    this.card.setAttribute("aria-label", this.label(this.trace.id[t]));
    const close = button("lv-button lv-card-close", "×", say("close"), () => this.closeCard());
    this.card.append(close);
  }

  closeCard() {
    this.card.classList.remove("lv-open");
  }

  /** The token whose candidates the keys choose from: the one on the card, else the one under way. */
  aimToken() {
    return this.carded ?? Math.min(Math.floor(this.player.f), this.trace.count - 1);
  }

  aim(by) {
    if (this.trace.count === 0) return;
    const t = this.aimToken();
    this.openCard(t);
    if (this.carded !== t) return;
    const list = ballot(this.trace, t);
    this.aimed = ((this.aimed ?? (by > 0 ? -1 : list.length)) + by + list.length) % list.length;
    const bars = [...this.card.querySelectorAll(".lv-bar")];
    bars.forEach((bar, i) => bar.classList.toggle("lv-aimed", i === this.aimed));
    this.voice.textContent = bars[this.aimed].textContent;
  }

  forkAimed() {
    if (this.aimed === null || this.trace !== this.home) return;
    const t = this.aimToken();
    const candidate = ballot(this.trace, t)[this.aimed];
    if (!candidate.chosen) this.fork(t, candidate);
  }

  /** What if `candidate` stood in the place of token t? Two bills side by side; Esc returns. */
  fork(t, candidate) {
    const { home } = this;
    this.enter(forkAt(home, t, candidate), { name: "fork", from: t + 1 });
    this.player.jump(t);
    this.player.goTo(t + 1);
    const bill = (key, trace) =>
      make("div", `lv-bill lv-bill-${key}`, [
        make("b", "", say(key, { word: this.word(trace.id[t]) })),
        make("span", "", say("forkBill", { bits: bitsText(trace.cost[t]), sum: fixed(trace.cum[t + 1], 1) })),
      ]);
    const back = button("lv-button", say("forkEnd"), say("forkEnd"), () => this.goHome(t + 1));
    this.verdict.replaceChildren(make("div", "lv-bills", [bill("asWritten", home), bill("ifSaid", this.trace)]), back);
    this.verdict.className = "lv-verdict";
    this.verdict.hidden = false;
    this.wake();
  }

  /** The reader's side: the words are gone, the number is known, and the same zoom finds them again. */
  toggleNumber() {
    if (this.mode.blind) return this.goHome(this.player.f);
    this.enter(this.home, { name: "number", blind: true });
    if (this.player.still) this.jump(0);
    else this.player.play();
    return undefined;
  }

  goToCarry() {
    const t = nextCarry(this.trace, Math.ceil(this.player.f) - 1);
    if (t === null) this.voice.textContent = say("noCarry");
    else this.pick(t);
  }

  showBytes() {
    if (this.bytes && this.trace === this.home) this.bytes.focus();
  }

  /** The bit of the file at which the number stands now; at the end, the one at 40 %. */
  damageHere() {
    const file = fileOf(this.home);
    if (!file || !(this.ask || this.message.damage)) return;
    const { cum, count, payload } = this.home;
    const f = this.trace === this.home ? this.player.f : count;
    const bit = f < count && f > 0 ? Math.floor(cum[Math.floor(f)]) : Math.floor(DEFAULT_FLIP * 8 * payload.length);
    this.flip(8 * file.number + bit);
  }

  /** Asks what a flipped bit of the file would do; the answer may have come with the message. */
  flip(bit) {
    const { damage } = this.message;
    if (damage && (damage.bit === bit || !this.ask)) return this.showDamage(damage);
    this.verdict.className = "lv-verdict";
    this.verdict.replaceChildren(make("p", "lv-note", say("damaging")));
    this.verdict.hidden = false;
    return this.ask("damage", { bit, blob: this.message.file.bytes });
  }

  /** One of four outcomes; a number that leads elsewhere is followed by two needles. */
  showDamage(damage) {
    if (!this.home) return;
    const { outcome, split } = damage;
    const bent = damage.trace ? parseTrace(damage.trace) : null;
    if (bent) {
      bent.hurt = Math.floor(damage.bit / 8) - fileOf(this.home).number;
      bent.words = new Map([...this.home.words, ...bent.words]);
      this.label = (id) => tokenLabel(bent.words.get(id) || new Uint8Array());
      this.enter(bent, { name: "damage", other: this.home, split: split ?? bent.count, from: split ?? undefined });
      const from = this.player.still ? split : Math.max(split - BEFORE_SPLIT, 0);
      this.player.jump(outcome === "spare" ? bent.count : from);
      if (outcome === "number" && !this.player.still) this.player.play();
    } else {
      this.goHome(this.home.count);
      this.bytes.hurt(damage.bit);
    }
    this.tour.beat = 7;
    this.verdict.className = "lv-verdict lv-refused";
    this.verdict.replaceChildren(...verdictBox(damage, () => this.goHome(this.home.count)));
    this.verdict.hidden = false;
    this.wake();
  }

  toggleTable() {
    const open = this.table.hidden;
    const focused = this.stage === document.activeElement || this.table.contains(document.activeElement);
    this.table.hidden = !open;
    this.stage.hidden = open;
    rename(this.tableButton, say(open ? "picture" : "table"), "T");
    if (open) showTable(this.table, this.trace, Math.floor(this.player.f), this.label);
    // What is hidden drops the focus, and with it the keys: hand it to what takes its place.
    if (focused) (open ? this.table : this.stage).focus();
  }

  speak(t) {
    if (t >= this.trace.count || (this.mode.blind && t >= this.player.f && !this.player.glide)) return;
    this.voice.textContent = say("token", tokenFacts(this.trace, t, (id) => shorten(this.label(id), SHORT_LABEL)));
    this.openCard(t);
  }

  changeFloor() {
    if (this.floors.floor === FLOORS.word && this.trace.count) this.openCard(this.aimToken());
    this.wake();
  }

  start() {
    const { message } = this;
    const decode = message.kind === "decode";
    this.player = null;
    this.colours = null;
    this.run = message.live ? message.run : null;
    this.enter(this.home, decode && !message.turned ? { name: "number", blind: true } : {});
    this.player.live = message.live === true;
    this.tour.beat = 1;
    const hero = message.hero === true;
    const seen = hero && kept(HERO_SEEN) === "1";
    if (hero) keep(HERO_SEEN, "1");
    if (this.player.still || seen || message.turned) this.jump(this.trace.count);
    else this.timer = window.setTimeout(() => this.act("toggle"), hero ? Math.max(HERO_STARTS_MS - performance.now(), 0) : RESULT_DELAY_MS);
    if (!hero && !message.turned) this.comeIntoSight();
    this.wake();
  }

  /** On a phone the picture stands above the text box: a new result must not stay out of sight. */
  comeIntoSight() {
    const frame = this.stage.getBoundingClientRect();
    if (frame.height > 0 && (frame.top < 0 || frame.bottom > window.innerHeight)) {
      this.root.scrollIntoView({ block: "start", behavior: this.player.still ? "auto" : "smooth" });
    }
  }

  /** Plays one of the eight scenes. */
  play(beat) {
    window.clearTimeout(this.timer);
    const { count } = this.home;
    const scenes = {
      1: () => this.goHome(0),
      2: () => {
        this.goHome(0);
        if (this.player.still) this.step(1);
        else this.player.play();
      },
      3: () => this.goHome(count),
      4: () => {
        this.goHome(count);
        this.look(this.dear);
        this.closeCard(); // a sheet would hide the caption
      },
      5: () => {
        if (this.home.count) this.fork(this.dear, this.rival());
      },
      6: () => {
        if (this.mode.blind) this.goHome(0);
        this.toggleNumber();
      },
      7: () => {
        this.goHome(count);
        this.damageHere();
      },
      8: () => {
        this.goHome(count);
        focusYourText();
      },
    };
    scenes[beat]();
    this.tour.beat = beat;
    this.wake();
  }

  resize() {
    if (this.scope && this.scope.resize()) this.wake(true);
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
    const { player } = this;
    this.colours = this.colours || coloursOf(this.root);
    this.mode.asking = this.floors.floor === FLOORS.questions;
    this.scope.draw(player.f, this.colours);
    this.strip.show(player.f);
    const whole = Math.floor(player.f);
    if (whole !== this.taped) drawTape(this.tape, this.trace, whole, this.mode.blind === true || this.mode.other !== undefined);
    this.taped = whole;
    if (this.growth) this.growth.mark(player.f);
    this.drawControls();
    this.drawFloors();
    this.drawTour();
    this.describe();
  }

  drawFloors() {
    const { f } = this.player;
    const t = Math.max(Math.min(Math.floor(f), this.trace.count - 1), 0);
    const asked = this.floors.floor === FLOORS.questions ? questionEdges(this.trace, t, f - t, false) : null;
    const place = { t, reached: asked ? asked.at : this.trace.nd[t], before: Math.floor(f) };
    if (this.mode.blind && f < this.trace.count && this.floors.floor === FLOORS.questions) place.t = Math.max(t - 1, 0);
    if (this.floors.floor === FLOORS.word && !this.player.moving) this.openCard(t);
    this.floors.show(this.trace, place, this.label, (n) => {
      this.player.goTo(t + partAfter(this.trace, t, n));
      this.wake();
    });
  }

  drawControls() {
    const { player } = this;
    const name = player.moving ? say("pause") : say("play");
    if (this.playButton.textContent !== name) rename(this.playButton, name);
    this.scrub.value = String(player.f);
    this.scrub.setAttribute("aria-valuetext", `${Math.floor(player.f)} / ${this.trace.count}`);
    this.speed.value = String(player.speed);
  }

  drawTour() {
    const { player, tour } = this;
    const staged = { fork: 5, number: 6, damage: 7 }[this.mode.name];
    // Scenes 1 to 3 are one fall: its beginning, its middle, its end.
    if (staged) tour.beat = staged;
    else if (tour.beat <= 3) tour.beat = player.f >= this.trace.count ? 3 : player.f > 0 || player.moving ? 2 : 1;
    this.root.dataset.beat = String(tour.beat);
    tour.show(tour.beat, this.captionOf(tour.beat), this.onwardOf((tour.beat % 8) + 1));
  }

  captionOf(beat) {
    if (beat === 3) return this.result;
    if (beat === 4) {
      const { id, r } = this.rival();
      const facts = tokenFacts(this.home, this.dear, (n) => this.word(n));
      return say("beat4", { ...facts, best: this.word(id), bestShare: shareText(r) });
    }
    if (beat === 6) return say(this.player.f < this.trace.count ? "decoding" : "decoded");
    return say(`beat${beat}`);
  }

  onwardOf(beat) {
    if (beat === 5) return say("whatIf", { word: this.word(this.rival().id) });
    return beat === 7 ? say("damage") : say(`go${beat}`);
  }

  /** A token's label as part of a sentence: without the dots of its spaces. */
  word(id) {
    const label = this.label(id);
    return shorten(label.replace(/^·+|·+$/g, "") || label, 20);
  }

  /** The likeliest word that the text did not say where it cost most; a space alone is no word to ask for. */
  rival() {
    const others = ballot(this.home, this.dear).filter(({ chosen }) => !chosen);
    return others.find(({ id }) => /[\p{L}\p{N}]/u.test(this.label(id))) || others[0] || { id: this.home.id[0], lo: 0, r: 1 };
  }

  resultText() {
    const { sizes, lanes } = this.message;
    const number = this.home.payload.length;
    const characters = [...new TextDecoder().decode(this.home.text)].length;
    if (!sizes || lanes > 1 || this.home.count < this.home.total) return say("touch");
    return say("beat3", { characters, number, total: sizes.llmc, envelope: sizes.llmc - number, gzip: sizes.gzip });
  }

  /** The picture in words; only at rest, so that nothing is read out sixty times a second. */
  describe() {
    if (this.player.moving) return;
    const t = Math.ceil(this.player.f) - 1;
    const words = t < 0
      ? say("canvasStart", { total: this.trace.total })
      : say("canvas", tokenFacts(this.trace, t, (id) => shorten(this.label(id), SHORT_LABEL)));
    this.canvas.setAttribute("aria-label", words);
  }
}

/** Mounts a view into an element; returns the function that shows a message. */
export function mountView(root, ask) {
  const view = new LinkedView(root, ask);
  return (value) => view.show(value);
}
