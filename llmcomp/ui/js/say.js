// Speaks the table of words in the language in force, with numbers as that language writes them.

import { LANGUAGES, WORDS } from "./words.js";

let language = 0;

/** Chooses the language by a tag such as "ru" or "zh-CN"; an unknown one speaks English. */
export function speakIn(tag) {
  language = Math.max(LANGUAGES.indexOf(String(tag || "").toLowerCase().split(/[-_]/)[0]), 0);
}

const locale = () => LANGUAGES[language];
const formats = new Map(); // to make a format takes longer than to draw a frame's words with it

function formatted(value, options = {}) {
  const key = locale() + JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.NumberFormat(locale(), options));
  return formats.get(key).format(value);
}

const whole = (value) => formatted(value);

/** A number with so many decimals, as the language writes it. */
export function fixed(value, digits) {
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return formatted(value, options).replace("-", "−");
}

function counted(value, forms) {
  const rule = new Intl.PluralRules(locale()).select(value);
  const at = { one: 0, few: 1 }[rule] ?? forms.length - 1;
  return `${whole(value)} ${forms[Math.min(at, forms.length - 1)]}`;
}

/** One sentence; numbers among the values are written out, strings stay as they are. */
export function say(key, values = {}) {
  return WORDS[key][language].replace(/\{(\w+)((?:\|[^|}]+)*)\}/g, (_, name, forms) => {
    const value = values[name];
    if (forms) return counted(value, forms.slice(1).split("|"));
    return typeof value === "number" ? whole(value) : value;
  });
}

/** Bits with as many digits as can be told apart. */
export function bitsText(bits) {
  return fixed(bits, Math.abs(bits) < 0.995 ? 2 : 1);
}

/** A share as percent; below a thousandth of a percent as odds, which can still be pictured. */
export function shareText(share) {
  const percent = 100 * share;
  if (percent >= 99.95) return say("nearlyAll");
  if (percent >= 10) return `${fixed(percent, 0)} %`;
  if (percent >= 1) return `${fixed(percent, 1)} %`;
  if (percent >= 0.001) return `${formatted(percent, { minimumSignificantDigits: 2, maximumSignificantDigits: 2 })} %`;
  if (share < 1e-15) return say("almostNever");
  return say("oneIn", { n: formatted(1 / share, { notation: "compact", maximumSignificantDigits: 2 }) });
}

/** What a reader of token t should hear and see, from the trace alone. */
export function tokenFacts(trace, t, label) {
  const best = { id: trace.tid[6 * t], share: trace.tr[6 * t] };
  return {
    token: trace.from + t + 1,
    total: trace.total,
    word: label(trace.id[t]),
    share: shareText(trace.r[t]), // what the coder gave, online help included: cost is -log2 of it
    rank: trace.rank[t] + 1,
    bits: bitsText(trace.cost[t]),
    best: label(best.id),
    bestShare: shareText(best.share),
    sum: fixed(trace.cum[t + 1], 1),
    expected: bitsText(trace.ent[t] / 1024),
  };
}
