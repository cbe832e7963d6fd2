// Bytes as something to read: nothing invisible, nothing that turns the text around.

const utf8 = new TextDecoder("utf-8");
const NAMED = { 10: "⏎", 9: "⇥", 127: "␡" };
// Bidi controls, zero-width marks and C1 controls: harmless only when spelled out.
const HIDDEN = /[\u0080-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** Two hex digits of a byte. */
export function hex(byte) {
  return byte.toString(16).toUpperCase().padStart(2, "0");
}

function spelled(character) {
  return `⟨U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`;
}

/** Text with every control character shown as a sign. */
export function shown(text) {
  const controls = [...text].map((character) => {
    const code = character.codePointAt(0);
    if (NAMED[code]) return NAMED[code];
    return code < 32 ? String.fromCodePoint(0x2400 + code) : character;
  });
  return controls.join("").replace(HIDDEN, spelled);
}

/** A token on its own (canvas, card, table): spaces as dots, pieces of characters as hex. */
export function tokenLabel(bytes) {
  const text = utf8.decode(bytes);
  if (text.includes("\ufffd")) return `⟨${[...bytes].map(hex).join(" ")}⟩`;
  return shown(text).replace(/^ +| +$/g, (spaces) => "·".repeat(spaces.length));
}

/** A token within the running text: plain spaces stay spaces, a line break also breaks the line. */
export function runLabel(bytes) {
  const text = utf8.decode(bytes);
  if (text.includes("\ufffd")) return `⟨${[...bytes].map(hex).join(" ")}⟩`;
  if (/^ +$/.test(text)) return "·".repeat(text.length);
  return shown(text).replace(/⏎/g, "⏎\n");
}

/** At most `limit` characters, the cut marked. */
export function shorten(text, limit) {
  const characters = [...text];
  return characters.length <= limit ? text : `${characters.slice(0, limit - 1).join("")}…`;
}

const MOST_PARTS = 16; // tokens may cut character after character; bytes that are no text must end somewhere

/** Groups tokens so that no group ends inside a UTF-8 character: `[{first, end}]`. */
export function cells(trace) {
  const groups = [];
  for (let t = 0; t < trace.count; t += 1) {
    const last = groups[groups.length - 1];
    const inside = (trace.text[trace.offset[t]] & 0xc0) === 0x80;
    if (last && inside && last.end - last.first < MOST_PARTS) last.end = t + 1;
    else groups.push({ first: t, end: t + 1 });
  }
  return groups;
}
