"""As a program: give a peer of wg0 many prefixes, take a few away one by one, then the rest.

    python -m lab.trimming KEY MANY FEW

It uses overlayd's own tunnel, so that packets can show what a trim costs; it ends with status 1 if
a change was refused.
"""

import sys
from ipaddress import IPv4Network

from overlayd.model.changes import GrantPeer, TrimPeer, TunnelChange
from overlayd.model.keys import PublicKey
from overlayd.model.settings import TunnelKind
from overlayd.tunnel.chosen import ChosenTunnel

_FIRST = int(IPv4Network("10.1.0.0/16").network_address)
"""Outside all networks of the lab's clusters."""


def main(key: PublicKey, many: int, few: int) -> bool:
    """Whether every change was made."""
    tunnel = ChosenTunnel("wg0", TunnelKind.AUTO)
    prefixes = [IPv4Network((_FIRST + number, 32)) for number in range(many)]
    changes: list[TunnelChange] = [
        GrantPeer("", key, None, frozenset(prefixes), False, "the lab says so"),
        *(_trim(key, prefix) for prefix in prefixes[:few]),
        _trim(key, *prefixes[few:]),
    ]
    outcomes = [tunnel.apply([change])[0] for change in changes]
    return all(outcome.error is None for outcome in outcomes)


def _trim(key: PublicKey, *prefixes: IPv4Network) -> TrimPeer:
    return TrimPeer("", key, frozenset(prefixes), "the lab says so")


if __name__ == "__main__":
    sys.exit(not main(PublicKey.parse(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
