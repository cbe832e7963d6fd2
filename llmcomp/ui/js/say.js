// Every sentence of the view, so that a second language is a second table.

const whole = (value) => new Intl.NumberFormat("en").format(value);
const fixed = (value, digits) =>
  new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);

/** Bits with as many digits as can be told apart. */
export function bitsText(bits) {
  return fixed(bits, bits < 0.995 ? 2 : 1);
}

/** A share as percent; below a thousandth of a percent as odds, which can still be pictured. */
export function shareText(share) {
  const percent = 100 * share;
  if (percent >= 99.95) return "nearly 100 %";
  if (percent >= 10) return `${fixed(percent, 0)} %`;
  if (percent >= 1) return `${fixed(percent, 1)} %`;
  if (percent >= 0.001) return `${new Intl.NumberFormat("en", { minimumSignificantDigits: 2, maximumSignificantDigits: 2 }).format(percent)} %`;
  if (share < 1e-15) return "almost never";
  return `1 in ${new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 2 }).format(1 / share)}`;
}

export const say = {
  play: "Play",
  pause: "Pause",
  back: "One token back",
  forward: "One token on",
  speed: (speed) => `${speed} bits/s`,
  speedLabel: "Speed in bits per second",
  scrub: "Place in the text, in tokens",
  table: "Table",
  picture: "Picture",
  help: "Keys",
  close: "Close",
  keys: "Keys of the picture",
  strip: "The text, word by word; colour and underline show the cost",
  tape: "The number so far",
  here: (word) => `here: ${word}`,
  inside: (word) => `inside ${word}`,
  wholeLine: "the whole line, 0 to 1",
  gap: (before, after) => `… ${before} → ${after}`.trim(),
  stopHere: (bits) => `stop here: ${whole(bits)} bits`,
  stage: "Interval view; press ? for its keys",
  past: "past: width = bits",
  ahead: "next words, in dictionary order",
  digits: "digits",
  hidden: (bytes) => `${whole(bytes)} bytes …`,
  waiting: "waiting: one carry could still flip these",
  windowTitle: "window: the digits the coder still holds; bold ones no longer change",
  falling: "Likely words get big boxes. A surprise is a long fall.",
  touch: "Touch a word to see what it cost.",
  reading:
    "Down is the number line, to the right are bits: one bit is a zoom by two. A word's box is as tall as the model " +
    "finds it likely; beside it, the cells of the number the file will be.",
  costName: "A word cost",
  costs: ["under 0.5", "under 2", "under 5", "under 9", "9 bits and more"],
  result: (s) =>
    `${whole(s.characters)} characters → ${whole(s.number)} bytes of number + ${whole(s.envelope)} of envelope; gzip ${whole(s.gzip)}.`,
  partOf: (shown, total) => `The first ${whole(shown)} of ${whole(total)} tokens are shown.`,
  canvas: (s) =>
    `Interval view. Token ${whole(s.token)} of ${whole(s.total)}, ${s.word}: ${s.bits} bits. ${s.sum} bits so far.`,
  canvasStart: (total) => `Interval view at the start: the whole line from 0 to 1, ${whole(total)} tokens to come.`,
  token: (s) =>
    `Token ${whole(s.token)} of ${whole(s.total)}, ${s.word}: given ${s.share}, rank ${whole(s.rank)}, cost ${s.bits} bits; ` +
    `expected ${s.best}, ${s.bestShare}. ${s.sum} bits so far.`,
  card: {
    given: "given",
    rank: "rank",
    cost: "cost",
    expected: "expected cost",
    bits: (bits) => `${bits} bits`,
    likeliest: "The six likeliest here",
    chosen: "the text says this",
  },
  columns: ["#", "token", "given", "rank", "bits", "bits so far", "expected word", "its share"],
  page: (first, last, total) => `${whole(first)} to ${whole(last)} of ${whole(total)}`,
  previous: "Previous 50",
  next: "Next 50",
  unreadable: "The trace could not be drawn; the file itself is not affected.",
};

/** What a reader of token t should hear and see, from the trace alone. */
export function tokenFacts(trace, t, label) {
  const best = { id: trace.tid[6 * t], share: trace.tr[6 * t] };
  return {
    token: trace.from + t + 1,
    total: trace.total,
    word: label(trace.id[t]),
    share: shareText(2 ** -trace.ideal[t]),
    rank: trace.rank[t] + 1,
    bits: bitsText(trace.cost[t]),
    best: label(best.id),
    bestShare: shareText(best.share),
    sum: fixed(trace.cum[t + 1], 1),
    expected: bitsText(trace.ent[t] / 1024),
  };
}
