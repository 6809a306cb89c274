"""Nodes that are nothing but documents: they announce a key, and no machine is behind them."""

from ipaddress import IPv4Address, IPv4Network

from attrs import field, frozen

from lab.topology import OVERLAY, POD_PREFIX, PODS, UNDERLAY
from overlayd.model.keys import PrivateKey, PublicKey
from overlayd.model.node import ADDRESS_ANNOTATION, KEY_ANNOTATION

_FIRST_HOST = 100
"""Far from the addresses of nodes with machines."""


@frozen
class BareNode:
    """Number 1, 2, ... up to 100; with a podCIDR of its own unless another one is given."""

    number: int
    pod_cidr: IPv4Network = field()
    key: PublicKey = field(factory=lambda: PrivateKey.generate().public())

    @pod_cidr.default
    def _own_pod_cidr(self) -> IPv4Network:
        return list(PODS.subnets(new_prefix=POD_PREFIX))[_FIRST_HOST + self.number]

    @property
    def name(self) -> str:
        return f"bare{self.number}"

    @property
    def address(self) -> IPv4Address:
        return UNDERLAY[_FIRST_HOST + self.number]

    @property
    def overlay_address(self) -> IPv4Address:
        return OVERLAY[int(self.address) & int(OVERLAY.hostmask)]

    @property
    def annotations(self) -> dict[str, str]:
        return {KEY_ANNOTATION: str(self.key), ADDRESS_ANNOTATION: str(self.overlay_address)}

    @property
    def prefixes(self) -> frozenset[str]:
        """What its peer has, as text."""
        return frozenset((str(self.pod_cidr), f"{self.overlay_address}/32"))
