import assert from "node:assert/strict";
import { test } from "node:test";
import { cells, runLabel, shown, tokenLabel } from "../../llmcomp/ui/js/label.js";
import { candidates, continued, parseTrace, registers } from "../../llmcomp/ui/js/wire.js";
import { makeMessage, words } from "./fixture.mjs";

const bytes = (text) => new TextEncoder().encode(text);

test("a message gives back its text, token by token", () => {
  const { message } = makeMessage(words("Monday, Tuesday, Wednesday, potato."));
  const trace = parseTrace(message);
  const joined = [...trace.id].map((id) => Buffer.from(trace.words.get(id)).toString()).join("");
  assert.equal(joined, "Monday, Tuesday, Wednesday, potato.");
  assert.equal(trace.offset[trace.count], joined.length);
});

test("bits so far are the sum of the coder's own intervals", () => {
  const { message } = makeMessage(words("a b c d e f g"), { bits: (t) => t });
  const trace = parseTrace(message);
  const sum = [...trace.cost].reduce((total, bits) => total + bits, 0);
  assert.ok(Math.abs(trace.cum[trace.count] - sum) < 1e-4);
});

test("candidates come most likely first and inside the box", () => {
  const trace = parseTrace(makeMessage(words("one two three four five six seven eight")).message);
  for (let t = 0; t < trace.count; t += 1) {
    const list = candidates(trace, t);
    list.forEach((item, i) => {
      assert.ok(item.lo >= 0 && item.lo + item.r <= 1 + 1e-6);
      assert.ok(i === 0 || item.r <= list[i - 1].r);
    });
  }
});

test("an empty text is a trace of no tokens on the whole line", () => {
  const trace = parseTrace(makeMessage([]).message);
  assert.equal(trace.count, 0);
  assert.equal(registers(trace, 0).rng, 2 ** 32);
});

test("a message of another format or with a short array is refused", () => {
  const { message } = makeMessage(words("a b"));
  assert.throws(() => parseTrace({ ...message, v: "view/2" }), /view\/1/);
  assert.throws(() => parseTrace({ ...message, lo: message.len }), /"lo"/);
  assert.throws(() => parseTrace(null), /view\/1/);
});

test("wide identifiers are told by their length", () => {
  const { message } = makeMessage(words("a b c"));
  const widen = (text) => {
    const narrow = new Uint16Array(Uint8Array.from(Buffer.from(text, "base64")).buffer);
    return Buffer.from(Uint32Array.from(narrow).buffer).toString("base64");
  };
  const wide = { ...message, id_bytes: 4 };
  for (const name of ["id", "tid", "dict_id"]) wide[name] = widen(message[name]);
  assert.deepEqual([...parseTrace(wide).id], [...parseTrace(message).id]);
});

test("nothing invisible and nothing that turns the text around is left in a label", () => {
  assert.equal(tokenLabel(bytes(" potato")), "·potato");
  assert.equal(tokenLabel(bytes("\n\t\0")), "⏎⇥␀");
  assert.equal(tokenLabel(bytes("a\u202eb")), "a⟨U+202E⟩b");
  assert.equal(tokenLabel(Uint8Array.of(0xe2, 0x98)), "⟨E2 98⟩");
  assert.equal(runLabel(bytes("\n")), "⏎\n");
  assert.equal(shown("<b>${x}</b>"), "<b>${x}</b>");
});

test("tokens that end inside a character share one cell", () => {
  const star = bytes("土");
  const tokens = [bytes("a"), star.slice(0, 1), star.slice(1, 2), star.slice(2), bytes("b")];
  const trace = parseTrace(makeMessage(tokens).message);
  assert.deepEqual(cells(trace), [{ first: 0, end: 1 }, { first: 1, end: 4 }, { first: 4, end: 5 }]);
});

test("pieces of a trace join to the whole, and one out of turn is refused", () => {
  const { message } = makeMessage(words("one two three four five six seven eight nine ten"));
  const whole = parseTrace(message);
  const cut = (from, end) => {
    const part = { ...message, from, n: end };
    const asked = (t) => whole.asked[t];
    const ranges = { tid: [6 * from, 6 * end], tlo: [6 * from, 6 * end], tr: [6 * from, 6 * end] };
    for (const name of ["dr", "dflag", "dcut"]) ranges[name] = [asked(from), asked(end)];
    for (const name of ["id", "len", "ideal", "cost", "ent", "rank", "lo", "r", "out", "low", "rng", "pend", "car", "nd"]) {
      ranges[name] = [from, end];
    }
    for (const [name, [first, last]] of Object.entries(ranges)) {
      const array = whole[name].slice(first, last);
      part[name] = Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString("base64");
    }
    part.text = Buffer.from(whole.text.slice(whole.offset[from], whole.offset[end])).toString("base64");
    return parseTrace(part);
  };
  const joined = continued(continued(cut(0, 3), cut(3, 7)), cut(7, whole.count));
  for (const name of ["id", "lo", "r", "cum", "offset", "asked", "dr", "dcut", "text", "low"]) {
    assert.deepEqual([...joined[name]], [...whole[name]], name);
  }
  assert.equal(continued(cut(0, 3), cut(4, 7)), null);
});
