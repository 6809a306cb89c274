"""The command line of the development API server."""

import math

from twisted.python.usage import Options, UsageError

from overlayd.testing.apiserver.allocator import PodNetwork
from overlayd.testing.apiserver.listening import Place, Tls
from overlayd.testing.apiserver.realistic import realistic_nodes
from overlayd.testing.apiserver.server import Behaviour


class ServerOptions(Options):
    """Serve Kubernetes Nodes for development and tests."""

    synopsis = "python -m overlayd.testing.apiserver [options]"
    optFlags = (
        ("testing", None, "Let clients cause faults and read counters, under /testing/."),
        ("no-streamed-lists", None, "Refuse sendInitialEvents, as with WatchList shut."),
        ("until-stdin-closes", None, "End when standard input does, as with who started this."),
    )
    optParameters = (
        ("allocate-pod-cidrs", None, None, "Give Nodes without podCIDRs parts of this network."),
        ("node-mask", None, 24, "Prefix length of each part.", int),
        ("bookmark-interval", None, 60.0, "Seconds between bookmarks.", float),
        ("history", None, 10_000, "How many writes watches can go back.", int),
        ("nodes", None, 0, "Begin with so many realistic Nodes.", int),
        ("node-size", None, 10_000, "Their size in bytes of JSON, about.", int),
        ("state", None, None, "A file that keeps the Nodes over restarts."),
        ("tls-cert", None, None, "Serve HTTPS with this certificate (PEM), and"),
        ("tls-key", None, None, "this key (PEM)."),
        ("tls-client-ca", None, None, "Want client certificates of this authority (PEM)."),
    )

    def __init__(self) -> None:
        super().__init__()
        self.places: list[Place] = []
        self.tokens: set[str] = set()
        self.pods: PodNetwork | None = None

    def opt_listen(self, place: str) -> None:
        """HOST:PORT, [V6]:PORT or unix:PATH; may be given again. Default 127.0.0.1:8080."""
        try:
            self.places.append(Place.parse(place))
        except ValueError as error:
            raise UsageError(f"--listen {error}") from None

    def opt_token(self, token: str) -> None:
        """A bearer token that is accepted; may be given again. Without any, none is asked for."""
        self.tokens.add(token)

    def postOptions(self) -> None:
        if not self.places:
            self.places = [Place("127.0.0.1", 8080)]
        if (self["tls-cert"] is None) != (self["tls-key"] is None):
            raise UsageError("--tls-cert and --tls-key: one needs the other")
        if self["tls-client-ca"] is not None and self["tls-cert"] is None:
            raise UsageError("--tls-client-ca: needs --tls-cert")
        if not 0 < self["bookmark-interval"] < math.inf:
            raise UsageError(f"--bookmark-interval {self['bookmark-interval']}: must be positive")
        if self["history"] < 1:
            raise UsageError(f"--history {self['history']}: must be at least 1")
        if self["allocate-pod-cidrs"] is not None:
            try:
                self.pods = PodNetwork.parse(self["allocate-pod-cidrs"], self["node-mask"])
            except ValueError as error:
                raise UsageError(f"--allocate-pod-cidrs: {error}") from None

    def tls(self) -> Tls | None:
        if self["tls-cert"] is None:
            return None
        return Tls(self["tls-cert"], self["tls-key"], self["tls-client-ca"])

    def behaviour(self) -> Behaviour:
        return Behaviour(
            bookmark_interval=self["bookmark-interval"],
            history=self["history"],
            tokens=frozenset(self.tokens),
            testing=bool(self["testing"]),
            pods=self.pods,
            journal=self["state"],
            streams_lists=not self["no-streamed-lists"],
            nodes=tuple(realistic_nodes(self["nodes"], self["node-size"])),
        )
