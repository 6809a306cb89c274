"""From the API server to frozen inventories, one attempt at a time.

Blocking, for a thread of its own. It neither waits nor tries again: an attempt ends, and whoever
called it decides what comes next.
"""

from collections.abc import Callable, Mapping

from attrs import frozen
from immutables import Map

from overlayd.kube.listing import Listing, Opened, probe, read_list
from overlayd.kube.silence import SILENCE, Silence
from overlayd.kube.streaming import stream_list
from overlayd.kube.transport.api import ApiServer
from overlayd.kube.watching import Following, open_watch, watch
from overlayd.model.errors import Unreachable
from overlayd.model.node import Inventory, IPAddress, Node
from overlayd.model.settings import Settings
from overlayd.plan.claim_index import index_of
from overlayd.plan.resume import Attempt, Ending, How, Step, is_below

NOTHING: Map[str, Node] = Map()


@frozen
class Heard:
    """A watch is open; `moved` says whether it has brought an event or a bookmark yet."""

    version: str  # up to which all is known
    moved: bool


Report = Inventory | Heard


class NodeSession:
    """Makes attempts at reading the Nodes, one after the other, in the thread that calls it."""

    def __init__(self, api: ApiServer, settings: Settings, silence: Silence = SILENCE) -> None:
        self._api = api
        self._silence = silence
        self._settings = settings
        self._streamed: tuple[str, Opened] | None = None  # a list's version, and what goes on

    def run(
        self,
        attempt: Attempt,
        known: Inventory | None,
        seconds: int,
        report: Callable[[Report], None],
    ) -> Ending:
        """Make one attempt and return how it ended.

        `known` is the last inventory that was reported, `seconds` how long a watch may last.
        `report` is called in this thread: with an inventory whenever it differs by value from the
        one before, so not for a heartbeat, and with `Heard` for each piece of a watch.
        """
        opened = self._opened(attempt)
        match attempt:
            case Attempt(Step.PROBE):
                return probe(self._api, self._silence.probe)
            case Attempt(Step.WATCH, str(version)):
                watching = opened or open_watch(self._api, version, seconds, self._silence.first)
                if isinstance(watching, Ending):
                    return watching
                return self._watch(watching, version, known, report)
            case Attempt(Step.STREAM):
                listing = stream_list(self._api, attempt.version, seconds, self._silence.listing)
            case _:
                listing = read_list(self._api, attempt.version, self._silence.listing)
        if isinstance(listing, Ending):
            return listing
        return self._listed(listing, attempt.version, known, report)

    def abort(self) -> None:
        """End, for good and from any thread, whatever blocks."""
        self._api.abort()

    def _opened(self, attempt: Attempt) -> Opened | None:
        """What a streamed list left open, where the attempt is to go on from there."""
        streamed, self._streamed = self._streamed, None
        if streamed is None:
            return None
        version, opened = streamed
        if attempt == Attempt(Step.WATCH, version):
            return opened
        opened.stream.close()
        return None

    def _listed(
        self,
        listing: Listing,
        not_older_than: str | None,
        known: Inventory | None,
        report: Callable[[Report], None],
    ) -> Ending:
        if listing.opened is not None:
            self._streamed = listing.version, listing.opened
        if not_older_than is not None and is_below(listing.version, not_older_than):
            reason = f"a list not older than {not_older_than} is of version {listing.version}"
            return Ending(How.WENT_BACK, reason=reason)
        nodes, changed = self._compared(listing.nodes, known.nodes if known else NOTHING)
        servers = self._servers(known)
        if known is None or changed or servers != known.servers:
            index = index_of(self._settings, nodes.values())
            report(Inventory(nodes, changed, listing.version, servers, index))
        return Ending(How.LISTED, version=listing.version, skipped=listing.skipped)

    def _watch(
        self,
        opened: Opened,
        version: str,
        known: Inventory | None,
        report: Callable[[Report], None],
    ) -> Ending:
        following = Following(self._settings, known, version)
        last = known

        def moved(changed: frozenset[str]) -> None:
            nonlocal last
            servers = self._servers(last)
            if last is None or changed or servers != last.servers:
                last = Inventory(
                    following.nodes, changed, following.version, servers, following.index
                )
                report(last)
            report(Heard(following.version, following.moved))

        try:
            return watch(opened, following, self._silence, moved)
        finally:
            opened.stream.close()

    def _servers(self, known: Inventory | None) -> frozenset[IPAddress]:
        """Where the API server is dialled now; as before where nothing says so any more."""
        try:
            return self._api.addresses()
        except Unreachable:
            return known.servers if known else frozenset()

    def _compared(
        self, nodes: Mapping[str, Node], before: Mapping[str, Node]
    ) -> tuple[Map[str, Node], frozenset[str]]:
        """The Nodes, and the names that are new, gone or other. One that is equal stays the same.

        Of 5,000 Nodes that are not ours the text alone would take megabytes.
        """
        changed = before.keys() - nodes.keys()
        settled = {}
        for name, read in nodes.items():
            node = read if name == self._settings.node_name else read.as_other()
            old = before.get(name)
            settled[name] = node if old is None or old != node else old
            if old != node:
                changed.add(name)
        return Map(settled), frozenset(changed)
