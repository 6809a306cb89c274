"""A machine that was read and found to have nothing."""

from overlayd.model.machine import Observed

BARE = Observed(
    links={},
    addresses=frozenset(),
    routes=frozenset(),
    rules=(),
    resolvers=frozenset(),
    forwarding=True,
)
