import assert from "node:assert/strict";
import { test } from "node:test";
import { lossPath, lossRange, lossWords } from "../../llmcomp/ui/js/curve.js";

const message = { epochs: 4, points: [[1, 2.5, null], [2, 2.0, null]], plain: [2.2, null] };

test("every loss that exists is within the range, dashed ones too", () => {
  const [low, high] = lossRange(message);
  assert.ok(low < 2.0 && high > 2.5);
  assert.deepEqual(lossRange({ epochs: 1, points: [], plain: [null, null] }), [0, 1]);
  const [least, greatest] = lossRange({ epochs: 1, points: [], plain: [2, null] });
  assert.ok(least < 2 && greatest > 2);
});

test("points lie in order, less loss lower, and a loss that does not exist has none", () => {
  const path = lossPath(message, 0, lossRange(message)).map((point) => point.split(",").map(Number));
  assert.equal(path.length, 2);
  assert.ok(path[1][0] > path[0][0] && path[1][1] > path[0][1]);
  assert.deepEqual(lossPath(message, 1, [0, 1]), []);
});

test("the words name what is drawn and nothing else", () => {
  assert.equal(lossWords(message), "Bits per byte: training part 2.000, without a prompt 2.200 (dashed).");
  assert.match(lossWords({ ...message, points: [], plain: [2.2, 2.4] }), /held-out part without a prompt 2.400/);
});
