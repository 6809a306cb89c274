"""The development API server in one object, for whoever has a reactor."""

from collections.abc import Iterable

from attrs import field, frozen
from twisted.internet.interfaces import IReactorTime
from twisted.web.server import Site

from overlayd.testing.apiserver.allocator import Allocator, PodNetwork
from overlayd.testing.apiserver.api import NodesApi
from overlayd.testing.apiserver.controls import Controls
from overlayd.testing.apiserver.counters import Counters
from overlayd.testing.apiserver.faults import Faults
from overlayd.testing.apiserver.following import Watching
from overlayd.testing.apiserver.front import Checks, Front
from overlayd.testing.apiserver.gate import Gate
from overlayd.testing.apiserver.journal import Journal
from overlayd.testing.apiserver.refusals import Document
from overlayd.testing.apiserver.store import NodeStore
from overlayd.testing.apiserver.tokens import Tokens
from overlayd.testing.apiserver.writes import NodeWrites, new_node


@frozen
class Behaviour:
    """What can be chosen. Without tokens anyone may ask; without a pod network none is divided."""

    bookmark_interval: float = 60.0  # seconds
    history: int = 10_000  # writes
    tokens: frozenset[str] = frozenset()
    testing: bool = False  # answer under /testing/
    pods: PodNetwork | None = None
    journal: str | None = None  # a file that keeps the Nodes over restarts
    streams_lists: bool = True  # the feature gate WatchList
    nodes: tuple[Document, ...] = field(default=(), repr=False)


class DevelopmentApiServer:
    """Serve `site` on an endpoint. `faults` and `counters` are for tests; the store for reading."""

    def __init__(self, reactor: IReactorTime, behaviour: Behaviour) -> None:
        self.store = NodeStore(behaviour.history)
        self.counters = Counters()
        gate, tokens = Gate(reactor), Tokens(behaviour.tokens)
        watching = Watching(reactor, self.store, behaviour.bookmark_interval)
        writes = NodeWrites(self.store, reactor.seconds)
        self.faults = Faults(reactor, self.store, watching, gate, tokens)
        if behaviour.pods is not None:
            Allocator(reactor, writes, behaviour.pods)
        journal = Journal(behaviour.journal) if behaviour.journal else None
        if journal is None or not journal.restore(self.store):
            self._fill(behaviour.nodes, reactor.seconds())
        if journal is not None:
            journal.keep(self.store)
        controls = Controls(self.faults, self.counters, self.store, watching, gate)
        front = Front(
            reactor,
            Checks(gate, tokens, self.counters),
            NodesApi(reactor, writes, watching, behaviour.streams_lists),
            controls if behaviour.testing else None,
        )
        self.site = Site(front, parsePOSTFormSubmission=False)

    def _fill(self, documents: Iterable[Document], now: float) -> None:
        nodes = [new_node(document, now) for document in documents]
        if nodes:
            self.store.replace(nodes, version=len(nodes))
