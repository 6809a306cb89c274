"""Somebody breaks a device, its peers, or what belongs to it on the machine."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from chaos.fault import Fault, Stage
from lab.eventually import REPAIR_UNANNOUNCED
from lab.mesh import Member
from overlayd.model.keys import PrivateKey, PublicKey

_STRANGER = "172.30.0.99:51820"
"""Where the peers of somebody else are said to be; nobody is there."""


def _commanded(*command: str) -> Callable[[Stage, Member], AbstractContextManager[None]]:
    """What one command on the node does."""

    @contextmanager
    def cause(stage: Stage, one: Member) -> Iterator[None]:
        one.run(*command)
        yield

    return cause


def _done(deed: Callable[..., None]) -> Callable[..., AbstractContextManager[None]]:
    """What is done to members once; nothing of it has to be ended."""

    @contextmanager
    def cause(stage: Stage, *members: Member) -> Iterator[None]:
        deed(*members)
        yield

    return cause


def kill_process(one: Member) -> None:
    for pid in one.node.namespace.running("wireguard-go"):
        os.kill(pid, signal.SIGKILL)


@contextmanager
def suspend_process(stage: Stage, one: Member) -> Iterator[None]:
    pids = one.node.namespace.running("wireguard-go")
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    yield
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def take_key(one: Member) -> None:
    one.daemon.device.take_key_away()


def replace_key(one: Member) -> None:
    one.daemon.device.rotate(PrivateKey.generate())


def change_port(one: Member) -> None:
    one.daemon.device.listen(51999)


def add_stranger(one: Member) -> None:
    one.daemon.device.add_peer(_stranger(), _STRANGER)


def steal_prefix(one: Member, other: Member) -> None:
    """Give the pods of another node to a peer that is nobody."""
    one.daemon.device.add_peer(_stranger(), _STRANGER, other.node.pod_cidr)


def remove_peer(one: Member, other: Member) -> None:
    reading = other.daemon.device.read()
    if reading is not None and reading.key is not None:
        one.daemon.device.remove_peer(reading.key)


def stop_forwarding(one: Member) -> None:
    one.node.forward(False)


def _stranger() -> PublicKey:
    return PrivateKey.generate().public()


FAULTS = (
    Fault("device deleted", _commanded("ip", "link", "del", "wg0")),
    Fault("device set down", _commanded("ip", "link", "set", "wg0", "down")),
    Fault(
        "alias changed",
        _commanded("ip", "link", "set", "wg0", "alias", "somebody"),
        harms=False,
    ),
    Fault("MTU changed", _commanded("ip", "link", "set", "wg0", "mtu", "1300")),
    Fault("address removed", _commanded("ip", "addr", "flush", "dev", "wg0")),
    Fault("routes of the device flushed", _commanded("ip", "route", "flush", "dev", "wg0")),
    Fault("routes of our protocol flushed", _commanded("ip", "route", "flush", "proto", "87")),
    Fault(
        "a route deleted",
        _commanded("ip", "route", "del", "10.244.0.0/16", "dev", "wg0"),
    ),
    # ip(8) takes the rule that lets packets through before the one that refuses them.
    Fault("rules deleted", _commanded("ip", "rule", "flush", "protocol", "87")),
    Fault("wireguard-go killed", _done(kill_process)),
    Fault("wireguard-go suspended", suspend_process, lasting=True, limit=REPAIR_UNANNOUNCED),
    Fault("key taken away", _done(take_key), limit=REPAIR_UNANNOUNCED),
    Fault("key replaced", _done(replace_key), limit=REPAIR_UNANNOUNCED, told=True),
    Fault("listen port changed", _done(change_port), limit=REPAIR_UNANNOUNCED),
    Fault("foreign peer added", _done(add_stranger), harms=False, limit=REPAIR_UNANNOUNCED),
    Fault("prefix stolen", _done(steal_prefix), places=2, limit=REPAIR_UNANNOUNCED),
    Fault("peer removed", _done(remove_peer), places=2, limit=REPAIR_UNANNOUNCED),
    Fault("forwarding switched off", _done(stop_forwarding), limit=REPAIR_UNANNOUNCED),
)
