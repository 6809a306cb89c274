"""Nodes without a machine: they fill the devices, come, go and change keys at the side."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.client import HTTPException
from random import Random

from attrs import frozen

from lab.cluster import ApiRefused, Cluster, Document
from lab.topology import OVERLAY, POD_PREFIX, PODS, UNDERLAY
from overlayd.model.keys import LENGTH, PublicKey
from overlayd.model.node import ADDRESS_ANNOTATION, KEY_ANNOTATION

STANDING = 30
"""How many are there at the start; half as many more come and go."""

CROWD = range(60, 120)
"""Those that go all at once: more than half of all peers, so that the brake has to hold most."""

CANARY = 120
"""The one that changes its key to show that the API server is followed."""

WAIT = (2.0, 6.0)
"""Seconds between two steps. In a minute they are fewer than the brake lets go."""

_FIRST = 100  # ghost 0 has this address in each network
_RETRY = 0.5  # seconds

_PODS = list(PODS.subnets(new_prefix=POD_PREFIX))


@frozen
class Step:
    """What one ghost does after `wait` seconds: "come", "go", or "rotate" its key."""

    wait: float
    verb: str
    number: int
    key: PublicKey


def steps(seed: int) -> Iterator[Step]:
    """What the ghosts do, without end; the same for the same seed."""
    random = Random(f"ghosts {seed}")
    there, away = list(range(STANDING)), list(range(STANDING, STANDING * 3 // 2))
    while True:
        verb = random.choice(("come", "go", "rotate"))
        source = away if verb == "come" else there
        if len(there if verb == "go" else source) <= (STANDING * 2 // 3 if verb == "go" else 0):
            continue
        number = random.choice(source)
        if verb != "rotate":
            source.remove(number)
            (there if verb == "come" else away).append(number)
        yield Step(random.uniform(*WAIT), verb, number, PublicKey(random.randbytes(LENGTH)))


def document(number: int, key: PublicKey) -> Document:
    """A Node as a daemon of its own would have announced it."""
    address = UNDERLAY[_FIRST + number]
    pods = str(_PODS[_FIRST + number])
    return {
        "metadata": {
            "name": name_of(number),
            "annotations": {
                KEY_ANNOTATION: str(key),
                ADDRESS_ANNOTATION: str(OVERLAY[int(address) & int(OVERLAY.hostmask)]),
            },
        },
        "spec": {"podCIDR": pods, "podCIDRs": [pods]},
        "status": {"addresses": [{"type": "InternalIP", "address": str(address)}]},
    }


def name_of(number: int) -> str:
    return f"ghost{number}"


class Ghosts:
    """The ghosts of one cluster, as a seed has them. A thread takes their steps until `stop`."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self._cluster = cluster
        self._random = Random(f"keys {seed}")
        self._steps = steps(seed)
        self._crowd = {number: self._key() for number in CROWD}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ghosts")
        self.steps = 0

    def create(self) -> None:
        """Create those that are there at the start."""
        for number in (*range(STANDING), CANARY):
            self._cluster.create_document(document(number, self._key()))
        self.gather_crowd()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def gather_crowd(self) -> None:
        for number, key in self._crowd.items():
            self._tolerant(partial(self._cluster.create_document, document(number, key)))

    def scatter_crowd(self) -> frozenset[PublicKey]:
        """Delete the crowd, one event each as fast as it goes; their keys."""
        for number in self._crowd:
            self._tolerant(partial(self._cluster.delete, name_of(number)))
        return frozenset(self._crowd.values())

    def sing(self) -> None:
        """Let the canary change its key."""
        self._rotate(CANARY, self._key())

    def _key(self) -> PublicKey:
        return PublicKey(self._random.randbytes(LENGTH))

    def _run(self) -> None:
        for step in self._steps:
            if self._stopping.wait(step.wait):
                return
            while not self._take(step):
                if self._stopping.wait(_RETRY):
                    return
            self.steps += 1

    def _take(self, step: Step) -> bool:
        """Take a step; whether there was an API server for it."""
        try:
            match step.verb:
                case "come":
                    new = document(step.number, step.key)
                    self._tolerant(partial(self._cluster.create_document, new))
                case "go":
                    self._tolerant(partial(self._cluster.delete, name_of(step.number)))
                case "rotate":
                    self._tolerant(partial(self._rotate, step.number, step.key))
        except (ApiRefused, OSError, HTTPException):
            return False
        return True

    def _rotate(self, number: int, key: PublicKey) -> None:
        annotations = {KEY_ANNOTATION: str(key)}
        self._cluster.patch(name_of(number), {"metadata": {"annotations": annotations}})

    @staticmethod
    def _tolerant(act: Callable[[], None]) -> None:
        """Do it; what is there already, or gone already, is no error: histories are replaced."""
        try:
            act()
        except ApiRefused as error:
            if error.status not in (404, 409):
                raise
