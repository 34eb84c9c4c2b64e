"""How the plugin spreads traffic."""

import unittest
from dataclasses import replace

from componentize_py_types import Err
from plugin import Weighting
from wit_world.exports.weighting import Candidate
from wit_world.imports.types import Health, Instance, Link, Protocol, Server, Service


class Weights(unittest.TestCase):
    def test_what_fails_gets_nothing_and_what_is_slow_gets_half(self):
        plugin = Weighting()
        plugin.configure("{}")
        usual = Instance(Server("s1", (100, 64, 0, 1)), 8080, 100, Health.HEALTHY, Link.UP, 350, 1000, 0)
        changes = [{}, {"round_trip": 20_001}, {"round_trip": None}, {"health": Health.UNHEALTHY}, {"link": Link.DOWN}]
        candidates = [Candidate(replace(usual, **changed), None) for changed in changes]
        service = Service("api", Protocol.HTTP, 80, [], True, [])
        self.assertEqual(plugin.weigh(service, candidates), [100, 50, 100, 0, 0])

    def test_settings_that_make_no_sense_are_refused(self):
        for settings in ['{"slow":5}', '{"slow_us":"5"}', "{"]:
            self.assertRaises(Err, Weighting().configure, settings)
