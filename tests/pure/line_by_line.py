"""Userspace WireGuard as far as requests go: each line of one takes effect by itself.

Packets flow between two lines. So a list that is replaced is empty at first, and filled line by
line; and what a request as a whole leaves alone may have been nobody's for a while.
"""

from collections.abc import Iterator

from overlayd.model.keys import PublicKey
from overlayd.model.node import IPNetwork

Holders = dict[str, str]
"""The peer of each prefix, both as requests write them."""


def holders(peers: dict[PublicKey, frozenset[IPNetwork]]) -> Holders:
    return {str(p): key.raw.hex() for key, prefixes in peers.items() for p in prefixes}


def after_each_line(request: bytes, before: Holders) -> Iterator[Holders]:
    """Who holds what after each line of a request."""
    held, peer = dict(before), ""
    for line in request.decode("ascii").split("\n"):
        name, _, value = line.partition("=")
        if name == "public_key":
            peer = value
        elif name == "allowed_ip":
            held[value] = peer
        elif name in ("replace_allowed_ips", "remove"):
            held = {prefix: key for prefix, key in held.items() if key != peer}
        yield dict(held)
