import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { keyList } from "../../llmcomp/ui/js/keys.js";
import { bitsText, say, speakIn } from "../../llmcomp/ui/js/say.js";
import { LANGUAGES, WORDS } from "../../llmcomp/ui/js/words.js";

const values = (text) => [...new Set([...text.matchAll(/\{(\w+)/g)].map(([, name]) => name))].sort();
const forms = { en: 2, ru: 3 };

test("every sentence stands in every language and takes the same values", () => {
  for (const [key, table] of Object.entries(WORDS)) {
    assert.equal(table.length, LANGUAGES.length, key);
    table.forEach((text, i) => {
      assert.ok(text.trim(), `${key} in ${LANGUAGES[i]}`);
      assert.deepEqual(values(text), values(table[0]), `${key} in ${LANGUAGES[i]}`);
      for (const [, list] of text.matchAll(/\{\w+\|([^}]+)\}/g)) {
        assert.equal(list.split("|").length, forms[LANGUAGES[i]], `${key} in ${LANGUAGES[i]}`);
      }
    });
    if (/[a-z]{4}/.test(table[0])) assert.notEqual(table[1], table[0], key);
    if (/[a-z]{4}/.test(table[0])) assert.match(table[2], /\p{Script=Han}/u, key);
  }
});

test("every word that is said exists, and every word that exists is said", () => {
  const folder = new URL("../../llmcomp/ui/js/", import.meta.url);
  const source = readdirSync(folder).filter((name) => name !== "words.js").map((name) => readFileSync(new URL(name, folder), "utf-8")).join("\n");
  for (const [, key] of source.matchAll(/say\("(\w+)"/g)) assert.ok(key in WORDS, key);
  const stems = [...source.matchAll(/say\(`(\w+)\$\{/g)].map(([, stem]) => stem);
  const sent = new Set(["nothingToWatch", "tooLongToWatch"]); // named in messages of the server
  const quoted = new Set([...source.matchAll(/"(\w+)"/g)].map(([, word]) => word));
  for (const key of Object.keys(WORDS)) assert.ok(sent.has(key) || quoted.has(key) || stems.some((stem) => key.startsWith(stem)), `${key} is never said`);
});

test("numbers and their nouns follow the language", () => {
  const said = (tag, total) => {
    speakIn(tag);
    return say("canvasStart", { total });
  };
  assert.match(said("en", 1), /1 token to come/);
  assert.match(said("en-GB", 2), /2 tokens to come/);
  assert.match(said("ru", 21), /21 токен\./);
  assert.match(said("ru", 3), /3 токена\./);
  assert.match(said("ru-RU", 12), /12 токенов\./);
  assert.match(said("zh-CN", 5), /5 个词元/);
  assert.match(said("xx", 2), /2 tokens/);
  speakIn("ru");
  assert.equal(bitsText(15.51), "15,5");
  speakIn("en");
  assert.equal(bitsText(-15.51), "−15.5");
});

test("the list of keys is complete in every language", () => {
  const lists = LANGUAGES.map((tag) => {
    speakIn(tag);
    return keyList();
  });
  speakIn("en");
  for (const list of lists) {
    assert.deepEqual(list.map(([key]) => key), lists[0].map(([key]) => key));
    assert.ok(list.every(([, what]) => what));
  }
});
