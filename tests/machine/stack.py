"""The network stack of the private namespace that the tests themselves are in."""

import socket
import subprocess

from twisted.trial.unittest import SynchronousTestCase

from overlayd.linux.network import Network
from overlayd.model.changes import NetworkChange
from overlayd.model.machine import Observed


def ip(*lines: str) -> str:
    """Run ip(8) on each line, which ends at the first that fails; what they printed.

    :raises AssertionError: one of them failed.
    """
    done = subprocess.run(
        ["ip", "-batch", "-"], input="\n".join(lines), text=True, capture_output=True
    )
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return done.stdout


def make_tunnel(name: str = "wg0") -> None:
    """A tun link, as wireguard-go's is: down, and with no alias and no address."""
    ip(f"tuntap add {name} mode tun")


def clean() -> None:
    """Leave a namespace with loopback and the kernel's own rules, and nothing else."""
    for _, name in socket.if_nameindex():
        if name != "lo":  # one end of a pair may be gone with the other
            subprocess.run(["ip", "link", "del", name], capture_output=True)
    ip("route flush table main", "rule flush")
    ip("rule add lookup main priority 32766", "rule add lookup default priority 32767")
    ip("link set lo up")


def applied(case: SynchronousTestCase, *changes: NetworkChange) -> Observed:
    """Make the changes, none of which may fail; the machine afterwards."""
    network = Network()
    for change in changes:
        case.assertIsNone(network.apply(change).error, str(change))
    return network.observe()
