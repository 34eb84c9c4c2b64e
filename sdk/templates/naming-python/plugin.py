"""A naming plugin for the servos mesh: `hello` is this server."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import naming
from wit_world.imports import directory


class Naming(exports.Naming):
    ttl = 5

    def configure(self, settings: str) -> None:
        """`settings` is JSON text: the [settings] table of the plugin's file. The operator reads what is raised."""
        ttl = settings_of(settings, ttl=5)["ttl"]
        if type(ttl) is not int or not 0 <= ttl <= 60:
            raise Err("ttl: give 0 to 60 seconds")
        Naming.ttl = ttl

    def resolve(self, question: naming.Question) -> naming.Outcome:
        if question.name != "hello":
            return naming.Outcome_Pass()
        this = directory.this_server()
        # Nameless until the first state of the mesh has come.
        if this.name == "" or question.record_type != naming.RecordType.A:
            return naming.Outcome_NoData()
        return naming.Outcome_Answers([naming.Answer(Naming.ttl, naming.Rdata_A(this.address))])


def settings_of(text: str, **defaults):
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Err(f"settings: {error}")
    for name in given:
        if name not in defaults:
            raise Err(f"unknown setting {name!r}")
    return defaults | given
