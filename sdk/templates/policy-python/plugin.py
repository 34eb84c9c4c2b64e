"""A policy plugin for the servos mesh: other servers of the mesh reach what runs here."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import policy

MAX_RULES = 256
MAX_REASON = 64


class Policy(exports.Policy):
    proxy = True

    def configure(self, settings: str) -> None:
        """`settings` is JSON text: the [settings] table of the plugin's file. The operator reads what is raised."""
        proxy = settings_of(settings, proxy=True)["proxy"]
        if type(proxy) is not bool:
            raise Err("proxy: give true or false")
        Policy.proxy = proxy

    def rules(self, context: policy.Context) -> list[policy.Rule]:
        """All rules that ought to be there; the host adds its guard rails."""
        rules = {}

        def allow(transport, port, source, reason):
            if len(rules) == MAX_RULES:
                return
            rule = policy.Rule(policy.Action.ALLOW, transport, policy.PortRange(port, port), source, reason[:MAX_REASON])
            rules.setdefault((transport, port, type(source)), rule)

        allow(policy.Transport.UDP, context.wireguard_port, policy.Source_Anywhere(), "wireguard")
        for instance in context.instances:
            allow(instance.transport, instance.port, policy.Source_Mesh(), f"service {instance.service}")
        if Policy.proxy:
            for port in context.proxy_ports:
                allow(policy.Transport.TCP, port, policy.Source_Mesh(), "failover proxy")
        return list(rules.values())


def settings_of(text: str, **defaults):
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Err(f"settings: {error}")
    for name in given:
        if name not in defaults:
            raise Err(f"unknown setting {name!r}")
    return defaults | given
