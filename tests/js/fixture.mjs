// A small exact coder that writes `view/1` messages, so that the view can be tested without a model.
// Same registers as the real one: 56-bit window, byte renormalisation, carries into pushed bytes.

const WINDOW = 1n << 56n;
const LEAST_RANGE = 1n << 48n;
const TOTAL = 1n << 32n;
const K = 6;

/** A small deterministic generator of numbers in [0, 1). */
export function random(seed) {
  let state = BigInt(seed) * 2654435761n + 12345n;
  return () => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & ((1n << 64n) - 1n);
    return Number(state >> 33n) / 2 ** 31;
  };
}

const encoder = new TextEncoder();

/** Words with their leading space, one token each. */
export function words(text) {
  return (text.match(/ ?[^\s]+|\s/gu) || []).map((word) => encoder.encode(word));
}

function compareBytes(left, right) {
  for (let i = 0; i < Math.min(left.length, right.length); i += 1) {
    if (left[i] !== right[i]) return left[i] - right[i];
  }
  return left.length - right.length;
}

const base64 = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString("base64");

function vocabulary(tokens, extra) {
  const all = new Map();
  for (const word of [...tokens, ...extra.map((text) => encoder.encode(text))]) all.set(base64(word), word);
  return [...all.values()].sort(compareBytes);
}

/** Integer frequencies that sum to TOTAL, the true word with about 2^-bits of them. */
function frequencies(size, truth, bits, next) {
  const raw = Array.from({ length: size }, () => next() ** 6 + 1e-6);
  raw[truth] = 0;
  const sum = raw.reduce((total, value) => total + value, 0) || 1;
  const share = Math.min(2 ** -bits, 1 - size * 2 ** -30);
  const left = Number(TOTAL) * (1 - share) - size;
  const freqs = raw.map((value) => BigInt(Math.max(Math.floor((left * value) / sum), 0)) + 1n);
  freqs[truth] = 0n;
  freqs[truth] = TOTAL - freqs.reduce((total, value) => total + value, 0n);
  return freqs;
}

/** The yes-or-no questions down a balanced tree over the vocabulary, in dictionary order. */
function decisionsOf(freqs, truth) {
  const mass = (from, to) => Number(freqs.slice(from, to).reduce((total, value) => total + value, 0n));
  const asked = [];
  let [low, high] = [0, freqs.length];
  while (high - low > 1) {
    const cut = (low + high) >> 1;
    const after = truth >= cut;
    const share = (after ? mass(cut, high) : mass(low, cut)) / mass(low, high);
    asked.push({ cut, after, share });
    if (after) low = cut;
    else high = cut;
  }
  return asked;
}

const MOST_STEP_BITS = 28; // one table of the coder has 32 bits; a dearer token takes two

class Coder {
  constructor() {
    this.low = 0n;
    this.range = WINDOW - 1n;
    this.bytes = [];
    this.number = 0n; // the same bytes as one integer, never renormalised
  }

  step(start, freq) {
    const before = { low: this.low, range: this.range };
    const unit = this.range;
    const from = (unit * start) / TOTAL;
    const to = (unit * (start + freq)) / TOTAL;
    this.low += from;
    this.range = to - from;
    const carried = this.low >= WINDOW;
    if (carried) this.carry();
    const relative = { lo: Number(from) / Number(before.range), r: Number(this.range) / Number(before.range) };
    while (this.range < LEAST_RANGE) this.push();
    return { ...relative, car: carried ? 1 : 0 };
  }

  carry() {
    this.low -= WINDOW;
    this.number += 1n;
    for (let i = this.bytes.length - 1; i >= 0; i -= 1) {
      this.bytes[i] = (this.bytes[i] + 1) % 256;
      if (this.bytes[i] !== 0) break;
    }
  }

  push() {
    const byte = Number(this.low >> 48n);
    this.bytes.push(byte);
    this.number = this.number * 256n + BigInt(byte);
    this.low = (this.low << 8n) & (WINDOW - 1n);
    this.range <<= 8n;
  }

  get pending() {
    if (this.low + this.range <= WINDOW) return 0;
    let count = 1;
    while (count < this.bytes.length && this.bytes[this.bytes.length - count] === 255) count += 1;
    return Math.min(count, this.bytes.length);
  }

  /** Shortest bytes whose number, padded with zeros, lies in [low, low + range). */
  finish() {
    for (let kept = 0; kept <= 7; kept += 1) {
      const unit = 1n << BigInt(56 - 8 * kept);
      const value = ((this.low + unit - 1n) / unit) * unit;
      if (value < this.low + this.range) {
        this.low = value;
        this.range = 0n;
        if (value >= WINDOW) this.carry();
        for (let i = 0; i < kept; i += 1) this.push();
        break;
      }
    }
    while (this.bytes[this.bytes.length - 1] === 0) this.bytes.pop();
    return Uint8Array.from(this.bytes);
  }
}

/** A file as the real one is built: header, checksum, number, checksum. */
function fileAround(payload) {
  const bytes = Buffer.concat([Buffer.from("LLMC\x11\x01"), Buffer.alloc(4, 7), payload, Buffer.alloc(4, 9)]);
  const stop = 10 + payload.length;
  const parts = [["header", 0, 6], ["check", 6, 10], ["number", 10, stop], ["check", stop, stop + 4]];
  return { bytes: bytes.toString("base64"), parts, number: 10 };
}

/** Codes the tokens; returns the message and, per step, exact edges `{number, low, range, out}`. */
export function makeMessage(tokens, { bits = () => 3, extra = ["zebra"], seed = 1 } = {}) {
  const vocab = vocabulary(tokens, extra);
  const places = new Map(vocab.map((word, i) => [base64(word), i]));
  const next = random(seed);
  const coder = new Coder();
  const n = tokens.length;
  const a = {
    id: new Uint16Array(n), len: new Uint8Array(n), ideal: new Float32Array(n), cost: new Float32Array(n),
    ent: new Uint16Array(n), rank: new Uint16Array(n), lo: new Float64Array(n), r: new Float64Array(n),
    out: new Uint32Array(n), low: new Uint32Array(n), rng: new Uint32Array(n), pend: new Uint8Array(n),
    car: new Uint8Array(n), tid: new Uint16Array(K * n), tlo: new Float32Array(K * n), tr: new Float32Array(K * n),
    nd: new Uint8Array(n),
  };
  const [dr, dflag, dcut] = [[], [], []];
  const exact = [{ number: 0n, low: 0n, range: WINDOW - 1n, out: 0 }];
  tokens.forEach((word, t) => {
    const id = places.get(base64(word));
    const more = Math.max(bits(t) - MOST_STEP_BITS, 0);
    const freqs = frequencies(vocab.length, id, bits(t) - more, next);
    const starts = [0n];
    freqs.forEach((freq) => starts.push(starts[starts.length - 1] + freq));
    const order = freqs.map((_, i) => i).sort((x, y) => Number(freqs[y] - freqs[x]));
    const step = coder.step(starts[id], freqs[id]);
    if (more > 0) {
      const last = coder.step(TOTAL / 3n, TOTAL >> BigInt(more));
      [step.lo, step.r] = [step.lo + step.r * last.lo, step.r * last.r];
      step.car = Math.max(step.car, last.car);
    }
    const asked = decisionsOf(freqs, id);
    if (more > 0) asked.push({ cut: id, after: false, share: 2 ** -more });
    a.nd[t] = asked.length;
    for (const { cut, after, share: kept } of asked) {
      dr.push(kept);
      dflag.push(after ? 1 : 0);
      dcut.push(cut);
    }
    const share = (i) => Number(freqs[i]) / Number(TOTAL);
    a.id[t] = id;
    a.len[t] = word.length;
    a.ideal[t] = more - Math.log2(share(id));
    a.cost[t] = -Math.log2(step.r);
    a.ent[t] = 1024 * freqs.reduce((sum, _, i) => sum - share(i) * Math.log2(share(i)), 0);
    a.rank[t] = order.indexOf(id);
    [a.lo[t], a.r[t], a.car[t]] = [step.lo, step.r, step.car];
    [a.out[t], a.pend[t]] = [coder.bytes.length, coder.pending];
    a.low[t] = Number(coder.low >> 24n);
    a.rng[t] = Number(coder.range >> 24n);
    order.slice(0, K).forEach((i, place) => {
      a.tid[K * t + place] = i;
      a.tlo[K * t + place] = Number(starts[i]) / Number(TOTAL);
      a.tr[K * t + place] = share(i);
    });
    exact.push({ number: coder.number, low: coder.low, range: coder.range, out: coder.bytes.length });
  });
  const payload = coder.finish();
  const text = Buffer.concat(tokens);
  const message = {
    v: "view/1", run: "fixture", kind: "encode", lane: 0, lanes: 1, model: "fixture", profile: "fixed",
    n, k: K, from: 0, id_bytes: 2, text: Buffer.from(text).toString("base64"), payload: base64(payload),
    file: fileAround(payload), sizes: { raw: text.length, gzip: text.length + 20, llmc: payload.length + 24 }, note: "",
    dict_id: base64(Uint16Array.from(vocab.keys())), dict_len: base64(Uint8Array.from(vocab, (w) => w.length)),
    dict_bytes: Buffer.concat(vocab).toString("base64"),
  };
  Object.assign(a, { dr: Float32Array.from(dr), dflag: Uint8Array.from(dflag), dcut: Uint16Array.from(dcut) });
  for (const [name, array] of Object.entries(a)) message[name] = base64(array);
  return { message, exact, payload, vocab };
}
