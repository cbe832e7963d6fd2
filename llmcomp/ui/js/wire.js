// Reads one `view/1` message into typed arrays. Knows the format, nothing of drawing.
// Everything in it comes from the coder's integers; here nothing is estimated.

const ARRAYS = {
  len: [Uint8Array, 1],
  ideal: [Float32Array, 1],
  cost: [Float32Array, 1],
  ent: [Uint16Array, 1],
  rank: [Uint16Array, 1],
  lo: [Float64Array, 1],
  r: [Float64Array, 1],
  out: [Uint32Array, 1],
  low: [Uint32Array, 1],
  rng: [Uint32Array, 1],
  pend: [Uint8Array, 1],
  car: [Uint8Array, 1],
  tlo: [Float32Array, 6],
  tr: [Float32Array, 6],
  nd: [Uint8Array, 1],
};
const DECISIONS = { dr: Float32Array, dflag: Uint8Array };
const ANSWER = 1;
const HELPER = 2;

export const CANDIDATES = 6;
export const WHOLE_LINE = { out: 0, low: 0, rng: 2 ** 32, pend: 0, car: 0 };

/** Bytes of a base64 string, in a buffer of their own (so any typed array is aligned). */
export function fromBase64(text) {
  const binary = atob(text || "");
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i += 1) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

function typed(message, name, Type, count) {
  const bytes = fromBase64(message[name]);
  if (bytes.length !== count * Type.BYTES_PER_ELEMENT) {
    throw new Error(`view/1: "${name}" holds ${bytes.length} bytes for ${count} entries`);
  }
  return new Type(bytes.buffer);
}

/** Ids are 16 bits wide up to a vocabulary of 65,536 words, else 32: the length tells which. */
function identifiers(message, name, count) {
  const bytes = fromBase64(message[name]);
  if (bytes.length === 4 * count && count > 0) return new Uint32Array(bytes.buffer);
  return typed(message, name, Uint16Array, count);
}

function dictionary(message) {
  const lengths = fromBase64(message.dict_len);
  const ids = identifiers(message, "dict_id", lengths.length);
  const joined = fromBase64(message.dict_bytes);
  const words = new Map();
  let at = 0;
  ids.forEach((id, i) => {
    words.set(id, joined.subarray(at, at + lengths[i]));
    at += lengths[i];
  });
  return words;
}

function runningSum(count, step, start = 0) {
  const sums = new Float64Array(count + 1).fill(start);
  for (let t = 0; t < count; t += 1) sums[t + 1] = sums[t] + step(t);
  return sums;
}

/**
 * A window of one lane as arrays: `count` of its `total` tokens, those from `from` on.
 *
 * `cum[t]` are the lane's bits before token t, `offset[t]` the window's bytes before it.
 */
export function parseTrace(message) {
  if (!message || message.v !== "view/1") throw new Error("not a view/1 message");
  const count = fromBase64(message.len).length;
  const trace = { message, count, total: message.n, from: message.from || 0 };
  for (const [name, [Type, per]] of Object.entries(ARRAYS)) {
    trace[name] = typed(message, name, Type, count * per);
  }
  trace.id = identifiers(message, "id", count);
  trace.tid = identifiers(message, "tid", count * CANDIDATES);
  const asked = trace.nd.reduce((sum, n) => sum + n, 0);
  for (const [name, Type] of Object.entries(DECISIONS)) trace[name] = typed(message, name, Type, asked);
  trace.dcut = identifiers(message, "dcut", asked);
  trace.words = dictionary(message);
  trace.text = fromBase64(message.text);
  trace.payload = fromBase64(message.payload);
  trace.before = message.before || { ...WHOLE_LINE, bits: 0 };
  return summed(trace);
}

/** Adds what is a running sum of something else. */
function summed(trace) {
  trace.asked = runningSum(trace.count, (t) => trace.nd[t]);
  trace.cum = runningSum(trace.count, (t) => -Math.log2(trace.r[t]), trace.before.bits);
  trace.offset = runningSum(trace.count, (t) => trace.len[t]);
  return trace;
}

/** A trace with the tokens of a later piece at its end; null if the piece does not follow on it. */
export function continued(trace, piece) {
  if (piece.from !== trace.from + trace.count) return null;
  const whole = { ...trace, total: piece.total, count: trace.count + piece.count };
  const names = [...Object.keys(ARRAYS), ...Object.keys(DECISIONS), "id", "tid", "dcut", "text"];
  for (const name of names) {
    const Type = trace[name].constructor;
    whole[name] = Type.from([...trace[name], ...piece[name]]);
  }
  whole.words = new Map([...trace.words, ...piece.words]);
  return summed(whole);
}

/** Whether the lane ends after t tokens of the window. */
export function endsAt(trace, t) {
  return trace.from + t >= trace.total && trace.fork === undefined;
}

/** The coder's registers before token t (after the t-th step); a lane begins with the whole line. */
export function registers(trace, t) {
  if (t <= 0) return trace.before;
  const { out, low, rng, pend, car } = trace;
  return { out: out[t - 1], low: low[t - 1], rng: rng[t - 1], pend: pend[t - 1], car: car[t - 1] };
}

/** The six likeliest tokens at step t, most likely first: id and place in the box before the step. */
export function candidates(trace, t) {
  const list = [];
  for (let i = CANDIDATES * t; i < CANDIDATES * (t + 1); i += 1) {
    if (trace.tr[i] > 0) list.push({ id: trace.tid[i], lo: trace.tlo[i], r: trace.tr[i] });
  }
  return list;
}

/**
 * The yes-or-no questions that found token t, each with its place in the box before the step.
 *
 * `{cut, after, helper, share, lo, w, edge}`: asked was "before word `cut`?", `after` says no, the
 * answer kept `share` of `[lo, lo + w)`; `edge` is where the box was divided.
 */
export function questions(trace, t) {
  const list = [];
  let [lo, w] = [0, 1];
  for (let i = trace.asked[t]; i < trace.asked[t + 1]; i += 1) {
    const share = trace.dr[i];
    const after = (trace.dflag[i] & ANSWER) === 1;
    const edge = lo + w * (after ? 1 - share : share);
    list.push({ cut: trace.dcut[i], after, helper: (trace.dflag[i] & HELPER) > 0, share, lo, w, edge });
    if (after) lo = edge;
    w *= share;
  }
  return list;
}
