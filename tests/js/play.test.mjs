import assert from "node:assert/strict";
import { test } from "node:test";
import { actionOf } from "../../llmcomp/ui/js/keys.js";
import { ease, Player, tokenSeconds } from "../../llmcomp/ui/js/play.js";
import { bitsText, say, shareText, tokenFacts } from "../../llmcomp/ui/js/say.js";
import { pageOf } from "../../llmcomp/ui/js/table.js";
import { costClass } from "../../llmcomp/ui/js/colours.js";
import { tokenLabel } from "../../llmcomp/ui/js/label.js";
import { parseTrace } from "../../llmcomp/ui/js/wire.js";
import { makeMessage, words } from "./fixture.mjs";

const traceOf = (n, bits) => parseTrace(makeMessage(words("a b c d e ".repeat(n)).slice(0, n), { bits }).message);

function secondsToEnd(player) {
  let seconds = 0;
  while (player.moving && seconds < 100) {
    player.tick(1 / 60);
    seconds += 1 / 60;
  }
  return seconds;
}

test("playing takes as long as the bits say, a word between 60 ms and 3 s", () => {
  assert.equal(tokenSeconds(0.01, 6), 0.06);
  assert.equal(tokenSeconds(60, 6), 3);
  const trace = traceOf(12, (t) => (t === 5 ? 15 : 1));
  const player = new Player(trace);
  player.play();
  const wanted = [...trace.cost].reduce((sum, bits) => sum + tokenSeconds(bits, 6), 0);
  assert.ok(Math.abs(secondsToEnd(player) - wanted) < 0.1);
  assert.equal(player.f, trace.count);
});

test("one long frame may pass many words and ends exactly at the end", () => {
  const player = new Player(traceOf(40, () => 0.05));
  player.play();
  player.tick(60);
  assert.equal(player.f, 40);
  assert.equal(player.moving, false);
});

test("a step glides to the next whole token, and cuts when motion is not wanted", () => {
  const player = new Player(traceOf(10, () => 2));
  player.step(1);
  assert.equal(player.f, 0);
  secondsToEnd(player);
  assert.equal(player.f, 1);
  player.jump(4.4);
  player.step(1);
  secondsToEnd(player);
  assert.equal(player.f, 5);
  player.jump(4.4);
  player.step(-1);
  secondsToEnd(player);
  assert.equal(player.f, 4);
  const still = new Player(traceOf(10, () => 2), { still: true });
  still.step(1);
  assert.equal(still.f, 1);
  assert.deepEqual([ease(0), ease(0.5), ease(1)], [0, 0.5, 1]);
});

test("position never leaves the text", () => {
  const player = new Player(traceOf(3, () => 2));
  player.step(-10);
  secondsToEnd(player);
  assert.equal(player.f, 0);
  player.jump(99);
  assert.equal(player.f, 3);
  player.play();
  assert.equal(player.f, 0);
});

test("long texts start fast, and the speed stays on its ladder", () => {
  const player = new Player(traceOf(300, () => 1));
  assert.equal(player.speed, 24);
  player.faster(1);
  assert.equal(player.speed, 24);
  for (let i = 0; i < 9; i += 1) player.faster(-1);
  assert.equal(player.speed, 1);
});

test("keys act only when nobody else owns them", () => {
  const key = (name, more = {}) => ({ key: name, target: { tagName: "DIV" }, ...more });
  assert.equal(actionOf(key(" ")), "toggle");
  assert.equal(actionOf(key("ArrowRight", { shiftKey: true })), "forward10");
  assert.equal(actionOf(key("ArrowRight", { ctrlKey: true })), null);
  assert.equal(actionOf({ key: " ", target: { tagName: "BUTTON" } }), null);
  assert.equal(actionOf({ key: "ArrowLeft", target: { tagName: "INPUT" } }), null);
  assert.equal(actionOf(key("Q")), "questions");
  assert.equal(actionOf(key("y")), null);
});

test("shares and bits are told with the digits that matter", () => {
  assert.equal(shareText(0.934), "93 %");
  assert.equal(shareText(0.0212), "2.1 %");
  assert.equal(shareText(0.00002), "0.0020 %");
  assert.equal(shareText(1e-7), "1 in 10M");
  assert.equal(shareText(1), "nearly 100 %");
  assert.equal(bitsText(0.0312), "0.03");
  assert.equal(bitsText(15.51), "15.5");
});

test("the spoken line tells token, share, rank, cost, expectation and sum", () => {
  const trace = traceOf(4, () => 3);
  const line = say("token", tokenFacts(trace, 2, (id) => tokenLabel(trace.words.get(id))));
  assert.match(line, /^Token 3 of 4, .+: given [\d.]+ %, rank \d+, cost 3\.0 bits; expected .+, \d+.* %\. 9\.0 bits so far\.$/);
});

test("cost has five classes, the table fifty rows a page", () => {
  assert.deepEqual([0, 0.5, 2, 5, 9].map(costClass), [0, 1, 2, 3, 4]);
  assert.deepEqual(pageOf(120, 77), [50, 100]);
  assert.deepEqual(pageOf(120, 119), [100, 120]);
  assert.deepEqual(pageOf(0, 0), [0, 0]);
});
