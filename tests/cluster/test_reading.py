"""What the Nodes' list and watch make of the answers of Kubernetes' own API server."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from threading import Event

from kubernetes.client import (
    V1Node,
    V1ObjectMeta,
)

from lab.eventually import eventually
from overlayd.kube.config.access import Access
from overlayd.kube.listing import PAGE
from overlayd.kube.nodes import Report
from overlayd.kube.own_node import write_annotations
from overlayd.kube.transport.api import Answer
from overlayd.plan.resume import Attempt, Ending, How, Step
from tests.cluster.client_case import ClientCase
from tests.cluster.plane import NAMESPACE

APPLIED = 20.0
"""Seconds until the server acts on an object that tells it how to be."""


ONE_PLACE = """
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: PriorityLevelConfiguration
metadata: {{name: {name}}}
spec:
  type: Limited
  limited:
    nominalConcurrencyShares: 0
    lendablePercent: 0
    borrowingLimitPercent: 0
    limitResponse: {{type: Reject}}
---
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata: {{name: {name}}}
spec:
  priorityLevelConfiguration: {{name: {name}}}
  matchingPrecedence: 2
  rules:
  - subjects: [{{kind: User, user: {{name: "{user}"}}}}]
    resourceRules: [{{verbs: ["*"], apiGroups: ["*"], resources: ["*"], clusterScope: true}}]
"""


def asked_to_wait(ask: Callable[[], Ending | Answer]) -> float | None:
    """The seconds for which a refusal of too many requests asks; None for another answer."""
    answer = ask()
    return answer.retry_after if answer.status == 429 else None


class ListTests(ClientCase):
    def test_pages(self) -> None:
        """More Nodes than a page holds come whole, in pages as in a stream, at rising versions."""
        names = self.many(PAGE + 10)
        paged = self.once(Step.LIST)
        streamed = self.once(Step.STREAM, paged.version)
        self.assertEqual((paged.how, streamed.how), (How.LISTED, How.LISTED))
        for inventory in self.inventories:
            self.assertLessEqual(names, set(inventory.nodes))
        one, other = self.inventories
        self.assertEqual(dict(one.nodes), dict(other.nodes))
        self.assertGreaterEqual(int(str(streamed.version)), int(str(paged.version)))

    def test_from_the_future(self) -> None:
        """A version that is not reached yet is said to be too large, to either kind of list."""
        future = str(int(self.version()) + 1_000_000)
        for step in (Step.LIST, Step.STREAM):
            self.assertEqual(self.once(step, future).how, How.TOO_LARGE)

    def many(self, count: int) -> set[str]:
        """Create so many Nodes, which go with the test."""
        label = {"many": self.name}
        delete = partial(self.core.delete_collection_node, label_selector=f"many={self.name}")
        self.addCleanup(delete)
        names = {f"{self.name}-{number:03}" for number in range(count)}
        for name in sorted(names):
            self.core.create_node(V1Node(metadata=V1ObjectMeta(name=name, labels=label)))
        return names


class WatchTests(ClientCase):
    def test_forgotten_version(self) -> None:
        """A version that was compacted away is expired; a list not older than it brings all."""
        version = self.version()
        self.write("overlayd/endpoint", "192.0.2.7:4500")
        self.plane.forget_history()
        self.assertEqual(self.once(Step.WATCH, version).how, How.EXPIRED)
        self.assertEqual(self.once(Step.STREAM, version).how, How.LISTED)
        self.assertIsNotNone(self.inventories[-1].nodes[self.name].endpoint)

    def test_from_the_future(self) -> None:
        """A watch from a version not reached yet ends without having moved."""
        ending = self.once(Step.WATCH, str(int(self.version()) + 1_000_000), seconds=3)
        self.assertEqual((ending.how, ending.moved), (How.ENDED, False))

    def test_bookmark(self) -> None:
        """A watch in which nothing of ours changes goes on to the version of the last bookmark."""
        version = self.version()
        self.write("somebody/else", "1")
        ending = self.once(Step.WATCH, version, seconds=4)
        self.assertEqual((ending.how, ending.moved), (How.ENDED, True))
        self.assertGreater(int(str(ending.version)), int(version))

    def write(self, key: str, value: str) -> None:
        self.core.patch_node(self.name, {"metadata": {"annotations": {key: value}}})


class OverloadTests(ClientCase):
    def test_slow_down(self) -> None:
        """Where the server has no place for us, it says 429 and how long to wait."""
        user = self.access({"token": self.token("many")})
        run = partial(self.session(self.api(user)).run, Attempt(Step.STREAM), None, 5, self.heard)
        write = partial(write_annotations, self.api(user), self.name, {"a": "1"})

        with self.one_place(f"system:serviceaccount:{NAMESPACE}:many"), self.taken(user):
            for ask in (run, write):
                wish = eventually(APPLIED, "the server says 429", partial(asked_to_wait, ask))
                assert wish is not None
                self.assertGreaterEqual(wish, 1.0)
        eventually(APPLIED, "it takes us again", lambda: run().how is How.LISTED)

    @contextmanager
    def one_place(self, user: str) -> Iterator[None]:
        """Let a user's requests be refused while one of them is being answered."""
        objects = ONE_PLACE.format(name=self.name, user=user)
        self.kubectl("apply", objects)
        try:
            yield
        finally:
            self.kubectl("delete", objects)

    @contextmanager
    def taken(self, user: Access) -> Iterator[None]:
        """Ask again and again for what the server waits for: it keeps one place for seconds."""
        session = self.session(self.api(user))
        asked = Attempt(Step.LIST, str(int(self.version()) + 1_000_000))
        over = Event()

        def ask() -> None:
            while not over.is_set():
                session.run(asked, None, 5, self.heard)

        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(ask)
            try:
                yield
            finally:
                over.set()
                session.abort()
        asking.result()

    def heard(self, report: Report) -> None:
        """What comes does not matter here."""

    def kubectl(self, verb: str, objects: str) -> None:
        done = self.users.kubectl(verb, "-f", "-", given=objects)
        self.assertEqual(done.returncode, 0, done.stderr)


class WriteTests(ClientCase):
    def test_too_long(self) -> None:
        """Annotations beyond the limit are 422, and the answer says so; nothing is written."""
        answer = write_annotations(self.api(), self.name, {"a": "x" * 262_144})
        self.assertEqual(answer.status, 422)
        self.assertIn(b"may not be more than 262144 bytes", answer.body)
        self.assertEqual(self.annotations(), {})

    def test_no_difference(self) -> None:
        """A write that changes nothing makes no version."""
        versions = set()
        for _ in range(2):
            self.assertEqual(write_annotations(self.api(), self.name, {"a": "1"}).status, 200)
            metadata = self.core.read_node(self.name).metadata
            assert metadata is not None
            versions.add(metadata.resource_version)
        self.assertEqual(len(versions), 1)

    def test_missing_node(self) -> None:
        """A Node that is not there is 404."""
        self.assertEqual(write_annotations(self.api(), f"{self.name}-no", {"a": "1"}).status, 404)
