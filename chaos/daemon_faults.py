"""The daemon ends, stops or hangs, alone or with the device. Packets do not notice the daemon."""

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from chaos.fault import Fault, Stage
from lab.eventually import FORMING
from lab.mesh import Member


@contextmanager
def killed(stage: Stage, one: Member) -> Iterator[None]:
    one.daemon.kill()
    yield
    one.daemon.start()


@contextmanager
def stopped(stage: Stage, one: Member) -> Iterator[None]:
    one.daemon.stop()
    yield
    one.daemon.start()


@contextmanager
def suspended(stage: Stage, one: Member) -> Iterator[None]:
    one.daemon.signal(signal.SIGSTOP)
    yield
    one.daemon.signal(signal.SIGCONT)


def _while_down(*command: str) -> Callable[[Stage, Member], AbstractContextManager[None]]:
    """The daemon is killed, and somebody runs a command before it starts again."""

    @contextmanager
    def cause(stage: Stage, one: Member) -> Iterator[None]:
        one.daemon.kill()
        one.node.namespace.attempt(*command)
        yield
        one.daemon.start()

    return cause


@contextmanager
def node_anew(stage: Stage, one: Member) -> Iterator[None]:
    """The others forget it, and it is another Node when its daemon comes back."""
    one.daemon.kill()
    stage.mesh.cluster.delete(one.name)
    yield
    stage.mesh.cluster.create(one.node)
    one.daemon.start()


FAULTS = (
    Fault("daemon killed, and started", killed, lasting=True, harms=False, limit=FORMING),
    Fault("daemon stopped, and started", stopped, lasting=True, harms=False, limit=FORMING),
    Fault("daemon suspended", suspended, lasting=True, harms=False),
    Fault(
        "daemon down, and its device deleted",
        _while_down("ip", "link", "del", "wg0"),
        lasting=True,
        limit=FORMING,
        told=True,
    ),
    Fault(
        "daemon down, and its device set down",
        _while_down("ip", "link", "set", "wg0", "down"),
        lasting=True,
        limit=FORMING,
    ),
    Fault(
        "daemon down, and its routes flushed",
        _while_down("ip", "route", "flush", "proto", "87"),
        lasting=True,
        limit=FORMING,
    ),
    Fault(
        "daemon down, and its Node made anew",
        node_anew,
        lasting=True,
        limit=FORMING,
        told=True,
    ),
)
