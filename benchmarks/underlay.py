"""Our node: a link to an underlay where everything is accepted and nobody answers."""

import subprocess

from lab.namespaces import Namespace

NAME = "benchmark-node"
ADDRESS = "172.30.0.11"
PODS = "10.128.0.0/9"
"""The pod network that the development API server's Nodes are in."""

_GATEWAY = "172.30.0.1"


def underlay() -> Namespace:
    """Give this machine a link and a default route; the gateway takes packets and forwards none."""
    gateway = Namespace("gateway")
    for command in (
        "link set lo up",
        f"link add eth0 type veth peer name eth0 netns {gateway.pid}",
        f"addr add {ADDRESS}/24 dev eth0",
        "link set eth0 up",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    gateway.run("ip", "addr", "add", f"{_GATEWAY}/24", "dev", "eth0")
    gateway.run("ip", "link", "set", "eth0", "up")
    subprocess.run(["ip", "route", "add", "default", "via", _GATEWAY], check=True)
    return gateway
