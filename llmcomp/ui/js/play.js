// Time to position. Play is constant in bits, so a surprise takes time; Step is one token.

const LEAST_S = 0.06;
const MOST_S = 3;
const STEP_S = 0.42;
const FAR = 3; // jumps over more tokens cut
export const SPEEDS = [1, 2, 3, 6, 12, 24];
const LONG_TEXT = 200;
const LONG_NUMBER = 150; // bytes: known of a decoding before its tokens are

/** Eased at both ends, linear in bits between. */
export function ease(part) {
  return part * part * (3 - 2 * part);
}

/** Seconds a token takes at `speed` bits per second. */
export function tokenSeconds(bits, speed) {
  return Math.min(Math.max(bits / speed, LEAST_S), MOST_S);
}

/** Position, speed and motion over one trace. */
export class Player {
  constructor(trace, { still = false } = {}) {
    this.trace = trace;
    this.still = still; // reduced motion: every change is a cut
    this.live = false; // more tokens may come: at the end of those known, wait
    this.f = 0;
    this.speed = trace.count > LONG_TEXT || trace.payload.length > LONG_NUMBER ? 24 : 6;
    this.playing = false;
    this.glide = null;
  }

  get moving() {
    return this.playing || this.glide !== null;
  }

  play() {
    if (this.f >= this.trace.count) this.f = 0;
    this.glide = null;
    this.playing = this.trace.count > 0;
  }

  pause() {
    this.playing = false;
    this.glide = null;
  }

  /** Moves at once, without easing: scrub, jump, end. */
  jump(f) {
    this.pause();
    this.f = Math.min(Math.max(f, 0), this.trace.count);
  }

  /** Goes to the end of token f, gliding when it is near. */
  goTo(f) {
    const to = Math.min(Math.max(f, 0), this.trace.count);
    if (this.still || Math.abs(to - this.f) > FAR) return this.jump(to);
    this.playing = false;
    this.glide = { from: this.f, to, part: 0 };
    return undefined;
  }

  /** One or more whole tokens forward or back, from wherever the camera is. */
  step(tokens) {
    const from = this.glide ? this.glide.to : this.f;
    this.goTo((tokens > 0 ? Math.floor(from) : Math.ceil(from)) + tokens);
  }

  faster(by) {
    const at = SPEEDS.findIndex((speed) => speed >= this.speed);
    this.speed = SPEEDS[Math.min(Math.max(at + by, 0), SPEEDS.length - 1)];
  }

  /** Advances by dt seconds. */
  tick(dt) {
    if (this.glide) this.tickGlide(dt);
    else if (this.playing) this.tickPlay(dt);
  }

  tickGlide(dt) {
    const { glide } = this;
    glide.part = Math.min(glide.part + dt / STEP_S, 1);
    this.f = glide.from + (glide.to - glide.from) * ease(glide.part);
    if (glide.part === 1) this.glide = null;
  }

  tickPlay(dt) {
    let left = dt;
    while (left > 0 && this.f < this.trace.count) {
      const t = Math.floor(this.f);
      const bits = this.trace.cum[t + 1] - this.trace.cum[t];
      const seconds = tokenSeconds(bits, this.speed);
      const part = Math.min(left / seconds, t + 1 - this.f);
      this.f = part * seconds >= left - 1e-9 ? this.f + part : t + 1;
      left -= part * seconds;
      if (part === 0) this.f = t + 1;
    }
    if (this.f >= this.trace.count) {
      this.f = this.trace.count;
      this.playing = this.live;
    }
  }
}
