// Links, addresses, the list of files, languages: the page's own logic, without a browser.

import assert from "node:assert/strict";
import { test } from "node:test";

globalThis.document = { documentElement: { lang: "en" } };
globalThis.window = {
  navigator: { languages: ["de-DE", "ru-RU"] },
  location: { origin: "https://host", pathname: "/app/", search: "", hash: "" },
  localStorage: { getItem: () => null },
  dispatchEvent() {},
  llmcompWords: { en: { sizes: "{raw:,} → {size:,} bytes, {name}" }, ru: { sizes: "{raw:,} → {size:,} байт, {name}" } },
};

const js = (name) => import(`../../llmcomp/ui/js/${name}.js`);
const { asked, queryOf } = await js("arrive");
const { readFiles, withFile } = await js("history");
const { mine, phrase, setLanguage, wanted } = await js("language");
const { linkTo, linkedFile, toLink } = await js("share");

test("a link gives back the bytes it was made of", () => {
  for (let length = 0; length < 70; length += 1) {
    const bytes = Buffer.from(Array.from({ length }, (_, i) => (i * 151 + length * 7) % 256));
    const link = linkTo(bytes.toString("base64"));
    assert.match(link, /^https:\/\/host\/app\/#z=[\w-]*$/);
    const found = linkedFile(new URL(link).hash);
    if (length) assert.deepEqual(Buffer.from(found, "base64url"), bytes);
    else assert.equal(found, null);
  }
  assert.equal(toLink("+/+/=="), "-_-_");
});

test("an address asks for what it names, and for nothing it does not", () => {
  const at = (search, hash = "") => asked({ search, hash });
  assert.deepEqual(at("?tab=steer"), { tab: "steer", preset: null, file: null });
  assert.deepEqual(at("?tab=../x"), { tab: null, preset: null, file: null });
  assert.deepEqual(at("?preset=log"), { tab: null, preset: "log", file: null });
  assert.deepEqual(at("?tab=steer&preset=log", "#z=TExN"), { tab: "decompress", preset: null, file: "TExN" });
  assert.equal(at("", "#z=<script>").file, null);
});

test("the address follows the visitor and keeps what is not its own", () => {
  assert.equal(queryOf("?lang=ru", { tab: "steer" }), "?lang=ru&tab=steer");
  assert.equal(queryOf("?lang=ru&tab=steer", { tab: "compress" }), "?lang=ru");
  assert.equal(queryOf("", { preset: "log" }), "?preset=log");
  assert.equal(queryOf("?preset=log", { tab: "decompress" }), "?tab=decompress");
  assert.equal(queryOf("?tab=steer", { tab: "compress" }), "");
});

test("every file is listed once, the newest first, the oldest forgotten", () => {
  let files = [];
  for (let i = 0; i < 20; i += 1) files = withFile(files, { name: `${i}`, raw: 9, size: 5, blob: `b${i % 15}` });
  assert.equal(files.length, 12);
  assert.equal(files[0].name, "19");
  assert.equal(new Set(files.map((file) => file.blob)).size, files.length);
});

test("whatever else lies in the store is an empty list", () => {
  for (const text of [null, "", "{", "7", '{"a":1}', '[{"name":1}]', "[null]"]) assert.deepEqual(readFiles(text), []);
});

test("the link's language goes before the browser's", () => {
  assert.equal(wanted("?lang=zh"), "zh");
  assert.equal(wanted("?lang=tlh"), "ru");
  assert.equal(wanted(""), "ru");
});

test("sentences are filled in as the language writes numbers", () => {
  assert.equal(phrase("sizes", { raw: 12345, size: 9, name: "{raw:,}" }), "12,345 → 9 bytes, {raw:,}");
  setLanguage("ru");
  assert.equal(document.documentElement.lang, "ru");
  assert.equal(phrase("sizes", { raw: 12345, size: 9, name: "x" }), "12\u00a0345 → 9 байт, x");
  assert.equal(mine({ languages: { en: 1, ru: 2 } }), 2);
  assert.equal(mine(7), 7);
});
