"""What the plugin lets in."""

import unittest

from componentize_py_types import Err
from plugin import Policy
from wit_world.exports.policy import Context, LocalInstance, Source_Anywhere, Source_Mesh, Transport


class Rules(unittest.TestCase):
    def open(self, settings):
        plugin = Policy()
        plugin.configure(settings)
        instance = LocalInstance("api", Transport.TCP, 8080)
        rules = plugin.rules(Context(51820, "wg0", [instance, instance], [80]))
        return [(rule.ports.first, rule.source) for rule in rules]

    def test_what_runs_here_is_open_to_the_mesh_once(self):
        wireguard, api, proxy = (51820, Source_Anywhere()), (8080, Source_Mesh()), (80, Source_Mesh())
        self.assertEqual(self.open("{}"), [wireguard, api, proxy])
        self.assertEqual(self.open('{"proxy":false}'), [wireguard, api])

    def test_settings_that_make_no_sense_are_refused(self):
        for settings in ['{"proxies":true}', '{"proxy":1}', "{"]:
            self.assertRaises(Err, Policy().configure, settings)
