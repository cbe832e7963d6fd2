// Which lane, and which stretch of it, stands in the picture; the server sends any other.

import { button, make } from "./dom.js";
import { say } from "./say.js";

/** Starts of a lane's windows of `size` tokens: the one before and the one after, null at the ends. */
export function neighbours(trace, size) {
  const { from, count, total } = trace;
  return {
    before: from > 0 ? Math.max(from - size, 0) : null,
    after: from + count < total ? from + count : null,
  };
}

function lanePicker(message, turn) {
  const options = Array.from({ length: message.lanes }, (_, lane) =>
    make("option", "", say("laneOf", { n: lane + 1, of: message.lanes }), { value: String(lane) }));
  const picker = make("select", "lv-speed lv-lane", options, { "aria-label": say("lane") });
  picker.value = String(message.lane);
  picker.addEventListener("change", () => turn({ lane: Number(picker.value), start: 0 }));
  return picker;
}

/** The row that turns to another lane or window; null if all of the text is in the picture. */
export function windowRow(trace, ask) {
  const { message, from, count, total } = trace;
  if (!message.trace || !ask) return null;
  const turn = (place) => ask("turn", { ...place, trace: message.trace, language: document.documentElement.lang.slice(0, 2) });
  const { before, after } = neighbours(trace, message.window);
  const to = (key, sign, start) => {
    const made = button("lv-button", sign, say(key), () => turn({ lane: message.lane, start }));
    made.disabled = start === null;
    return made;
  };
  const stretch = before !== null || after !== null;
  return make("div", "lv-windows", [
    ...(message.lanes > 1 ? [lanePicker(message, turn)] : []),
    ...(stretch ? [to("earlier", "«", before)] : []),
    make("span", "lv-note", say("stretch", { first: from + 1, last: from + count, total })),
    ...(stretch ? [to("later", "»", after)] : []),
  ], { role: "group", "aria-label": say("windows") });
}
