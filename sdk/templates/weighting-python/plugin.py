"""A weighting plugin for the servos mesh: what works has the operator's weight, less of it if it is slow."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import weighting
from wit_world.imports.types import Health, Link, Service


class Weighting(exports.Weighting):
    slow_us = 20_000

    def configure(self, settings: str) -> None:
        """`settings` is JSON text: the [settings] table of the plugin's file. The operator reads what is raised."""
        slow_us = settings_of(settings, slow_us=20_000)["slow_us"]
        if type(slow_us) is not int or slow_us < 0:
            raise Err("slow_us: give microseconds")
        Weighting.slow_us = slow_us

    def weigh(self, service: Service, candidates: list[weighting.Candidate]) -> list[int]:
        """One weight a candidate, in their order, 0 to 1,000."""
        return [weight(candidate.instance) for candidate in candidates]


def weight(instance) -> int:
    if instance.health == Health.UNHEALTHY or instance.link == Link.DOWN:
        return 0
    slow = instance.round_trip is not None and instance.round_trip > Weighting.slow_us
    return (instance.weight_hint + 1) // 2 if slow else instance.weight_hint


def settings_of(text: str, **defaults):
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Err(f"settings: {error}")
    for name in given:
        if name not in defaults:
            raise Err(f"unknown setting {name!r}")
    return defaults | given
