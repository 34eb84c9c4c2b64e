// What the plugin lets in.

import assert from "node:assert/strict";
import test from "node:test";

import { policy } from "./plugin.js";

const instance = { service: "api", transport: "tcp", port: 8080 };
const context = { wireguardPort: 51820, interface: "wg0", instances: [instance, instance], proxyPorts: [80] };
const open = () => policy.rules(context).map(({ ports, source }) => `${ports.first} ${source.tag}`);

test("what runs here is open to the mesh once", () => {
  policy.configure("{}");
  assert.deepEqual(open(), ["51820 anywhere", "8080 mesh", "80 mesh"]);
  policy.configure('{"proxy":false}');
  assert.deepEqual(open(), ["51820 anywhere", "8080 mesh"]);
});

test("settings that make no sense are refused", () => {
  assert.throws(() => policy.configure('{"proxies":true}'), /unknown setting "proxies"/);
  assert.throws(() => policy.configure('{"proxy":1}'), /proxy: give true or false/);
});
