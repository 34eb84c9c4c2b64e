// What the plugin answers, with a directory of the test's own.

import assert from "node:assert/strict";
import { register } from "node:module";
import test from "node:test";

const directory = `export default { thisServer: () => ({ name: "s1", address: [100, 64, 0, 1] }) };`;
const hooks = `
  const directory = "data:text/javascript,${encodeURIComponent(directory)}";
  export const resolve = (name, context, next) =>
    name.startsWith("servos:plugin/directory@") ? { url: directory, shortCircuit: true } : next(name, context);
`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
const { naming } = await import("./plugin.js");

test("hello is this server", () => {
  naming.configure("{}");
  const answer = { ttl: 5, rdata: { tag: "a", val: [100, 64, 0, 1] } };
  assert.deepEqual(naming.resolve({ name: "hello", recordType: "a" }), { tag: "answers", val: [answer] });
  assert.deepEqual(naming.resolve({ name: "hello", recordType: "aaaa" }), { tag: "no-data" });
});

test("other names are left to the next plugin", () => {
  assert.deepEqual(naming.resolve({ name: "example.org", recordType: "a" }), { tag: "pass" });
});

test("settings that make no sense are refused", () => {
  assert.throws(() => naming.configure('{"tll":5}'), /unknown setting "tll"/);
  assert.throws(() => naming.configure('{"ttl":"long"}'), /ttl: give 0 to 60 seconds/);
});
