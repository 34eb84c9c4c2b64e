"""What the plugin answers, with a directory of the test's own."""

import unittest
from unittest import mock

from componentize_py_types import Err
from plugin import Naming
from wit_world.exports.naming import Answer, Outcome_Answers, Outcome_NoData, Outcome_Pass, Question, Rdata_A, RecordType
from wit_world.imports import directory
from wit_world.imports.types import Server


class Answers(unittest.TestCase):
    def setUp(self):
        this = mock.Mock(return_value=Server("s1", (100, 64, 0, 1)))
        self.enterContext(mock.patch.object(directory, "this_server", this))
        self.plugin = Naming()
        self.plugin.configure("{}")

    def test_hello_is_this_server(self):
        answers = Outcome_Answers([Answer(5, Rdata_A((100, 64, 0, 1)))])
        self.assertEqual(self.plugin.resolve(Question("hello", RecordType.A)), answers)
        self.assertEqual(self.plugin.resolve(Question("hello", RecordType.AAAA)), Outcome_NoData())

    def test_other_names_are_left_to_the_next_plugin(self):
        self.assertEqual(self.plugin.resolve(Question("example.org", RecordType.A)), Outcome_Pass())

    def test_settings_that_make_no_sense_are_refused(self):
        for settings in ['{"tll":5}', '{"ttl":"long"}', "{"]:
            self.assertRaises(Err, self.plugin.configure, settings)
