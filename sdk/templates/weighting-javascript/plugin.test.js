// How the plugin spreads traffic.

import assert from "node:assert/strict";
import test from "node:test";

import { weighting } from "./plugin.js";

test("what fails gets nothing and what is slow gets half", () => {
  weighting.configure("{}");
  const instance = { health: "healthy", link: "up", weightHint: 100, roundTrip: 350 };
  const candidates = [{}, { roundTrip: 20001 }, { roundTrip: undefined }, { health: "unhealthy" }, { link: "down" }];
  const given = candidates.map((changes) => ({ instance: { ...instance, ...changes } }));
  assert.deepEqual(weighting.weigh({ name: "api" }, given), [100, 50, 100, 0, 0]);
});

test("settings that make no sense are refused", () => {
  assert.throws(() => weighting.configure('{"slow":5}'), /unknown setting "slow"/);
  assert.throws(() => weighting.configure('{"slow_us":"5"}'), /slow_us: give microseconds/);
});
