"""Bad Nodes, annotations that somebody writes over, Nodes that vanish in masses, cut wires."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from chaos.fault import Fault, Stage
from chaos.ghosts import document
from lab.cluster import Document
from lab.eventually import CLUSTER, SERVER_BACK
from lab.mesh import Member
from overlayd.model.keys import PrivateKey, PublicKey
from overlayd.model.node import ADDRESS_ANNOTATION, ENDPOINT_ANNOTATION, KEY_ANNOTATION

BAD = "bad"
"""What the names of Nodes begin with that say what they should not."""

_BAD_NUMBER = 121
_MAY_GO = 40  # percent: 30 of those a minute ago, who may have been more
_HELD = 1.0  # seconds in which a brake that does not hold would have let a crowd go


def _lies(
    name: str, lie: Callable[[Document, Member], None]
) -> Callable[[Stage, Member], AbstractContextManager[None]]:
    """A Node without a machine that claims what is another's, for a while."""

    @contextmanager
    def cause(stage: Stage, victim: Member) -> Iterator[None]:
        bad = document(_BAD_NUMBER, PrivateKey.generate().public())
        bad["metadata"]["name"] = f"{BAD}-{name}"
        lie(bad, victim)
        stage.mesh.cluster.create_document(bad)
        yield
        stage.mesh.cluster.delete(bad["metadata"]["name"])

    return cause


def same_key(bad: Document, victim: Member) -> None:
    reading = victim.daemon.device.read()
    if reading is not None and reading.key is not None:
        bad["metadata"]["annotations"][KEY_ANNOTATION] = str(reading.key)


def same_pods(bad: Document, victim: Member) -> None:
    pods = str(next(victim.node.pod_cidr.subnets()))
    bad["spec"] = {"podCIDR": pods, "podCIDRs": [pods]}


def same_address(bad: Document, victim: Member) -> None:
    bad["metadata"]["annotations"][ADDRESS_ANNOTATION] = str(victim.node.overlay_address)


def unreadable(bad: Document, victim: Member) -> None:
    bad["metadata"]["annotations"][KEY_ANNOTATION] = "\x1b[31m" + "A" * 44
    bad["metadata"]["annotations"][ENDPOINT_ANNOTATION] = f"{victim.pod.address}:1"


@contextmanager
def wiped(stage: Stage, one: Member) -> Iterator[None]:
    _annotate(stage, one, None)
    yield


@contextmanager
def overwritten(stage: Stage, one: Member) -> Iterator[None]:
    _annotate(stage, one, PrivateKey.generate().public())
    yield


def _annotate(stage: Stage, one: Member, key: PublicKey | None) -> None:
    annotations = {KEY_ANNOTATION: None if key is None else str(key)}
    stage.mesh.cluster.patch(one.name, {"metadata": {"annotations": annotations}})


@contextmanager
def crowd_gone(stage: Stage) -> Iterator[None]:
    """The brake holds those that go all at once, on every node.

    They go one after the other: those before it sees that they are too many are gone.
    """
    before = {m.name: len(_peers(m)) for m in stage.mesh.members.values()}
    crowd = stage.ghosts.scatter_crowd()
    time.sleep(_HELD)
    for member in stage.mesh.members.values():
        gone = len(crowd - _peers(member))
        if gone * 100 > _MAY_GO * before[member.name]:
            raise AssertionError(f"{member.name} let {gone} of {before[member.name]} peers go")
    yield
    stage.ghosts.gather_crowd()


def _peers(member: Member) -> frozenset[PublicKey]:
    reading = member.daemon.device.read()
    return frozenset() if reading is None else frozenset(reading.peers)


@contextmanager
def unplugged(stage: Stage, one: Member) -> Iterator[None]:
    """The underlay's link goes down, with the default route, and comes back."""
    one.run("ip", "link", "set", "eth0", "down")
    yield
    one.run("ip", "link", "set", "eth0", "up")
    one.run("ip", "route", "replace", "default", "via", str(stage.mesh.underlay.gateway))


@contextmanager
def cut_off(stage: Stage, one: Member) -> Iterator[None]:
    """The way to the API server is cut: packets to it vanish."""
    one.run("ip", "link", "set", "mgmt0", "down")
    yield
    one.run("ip", "link", "set", "mgmt0", "up")


FAULTS = (
    Fault("a Node with another's key", _lies("key", same_key), lasting=True, harms=False),
    Fault("a Node with another's pods", _lies("pods", same_pods), lasting=True, harms=False),
    Fault(
        "a Node with another's overlay address",
        _lies("address", same_address),
        lasting=True,
        harms=False,
    ),
    Fault("a Node that nobody can read", _lies("text", unreadable), lasting=True, harms=False),
    Fault("annotations wiped", wiped, limit=SERVER_BACK, told=True),
    Fault("key annotation overwritten", overwritten, limit=SERVER_BACK, told=True),
    Fault(
        "half of all Nodes deleted at once",
        crowd_gone,
        places=0,
        lasting=True,
        harms=False,
        limit=CLUSTER,
        told=True,
    ),
    Fault("underlay unplugged", unplugged, lasting=True),
    Fault("way to the API server cut", cut_off, lasting=True, harms=False, limit=SERVER_BACK),
)
