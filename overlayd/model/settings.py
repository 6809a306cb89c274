"""What the operator asked for, checked as far as the options alone can tell."""

import enum
from ipaddress import IPv4Network

from attrs import frozen

from overlayd.model.errors import SettingsError
from overlayd.model.node import WG_OVERLAY_PORT, IPAddress
from overlayd.model.places import DEFAULT_CONTROL as DEFAULT_CONTROL

DEFAULT_OVERLAY = IPv4Network("100.64.0.0/16")
DEFAULT_PODS = (IPv4Network("10.244.0.0/16"),)

LINK_NAME_LIMIT = 15  # IFNAMSIZ of linux/if.h, less the final zero byte
SOCKET_PATH_LIMIT = 107  # sun_path of linux/un.h, less the final zero byte
MTU_RANGE = range(576, 65536)  # RFC 791's smallest datagram to the largest a link can say


class TunnelKind(enum.Enum):
    """The WireGuard implementation on this machine. The value is the word people use."""

    AUTO = "auto"  # what is there, else the kernel's where it has one
    KERNEL = "kernel"
    USERSPACE = "userspace"  # wireguard-go

    @classmethod
    def of_link(cls, kind: str) -> "TunnelKind | None":
        """What a link of this kind (IFLA_INFO_KIND) can be; None for one that is no tunnel."""
        return {"wireguard": cls.KERNEL, "tun": cls.USERSPACE}.get(kind)


@frozen(kw_only=True)
class Settings:
    """The daemon's settings. Nothing after the options reads options."""

    node_name: str
    node_ip: IPAddress | None = None  # None: the Node's first InternalIP, followed
    wg_dev: str = "wg0"
    listen_port: int = WG_OVERLAY_PORT
    overlay: IPv4Network = DEFAULT_OVERLAY
    pods: tuple[IPv4Network, ...] = DEFAULT_PODS
    mtu: int | None = None  # None: from the link that reaches the peers
    tunnel: TunnelKind = TunnelKind.AUTO
    external: bool = False  # something else starts the userspace tunnel, and keeps it running
    adopt: bool = False  # take over the device under our name, if it is WireGuard with a key

    def __attrs_post_init__(self) -> None:
        check_link_name(self.wg_dev)
        if not 1 <= self.listen_port <= 65535:
            raise SettingsError(f"--listen-port {self.listen_port} is not between 1 and 65535")
        if self.mtu is not None and self.mtu not in MTU_RANGE:
            raise SettingsError(
                f"--mtu {self.mtu} is not between {MTU_RANGE.start} and {MTU_RANGE.stop - 1}"
            )
        _check_networks(self.overlay, self.pods)
        if self.node_ip is not None:
            _check_node_ip(self.node_ip, self.networks)

    @property
    def networks(self) -> tuple[IPv4Network, ...]:
        """Every network that goes through the tunnel or is refused: the overlay, then the pods."""
        return (self.overlay, *self.pods)


def check_link_name(name: str) -> None:
    """:raises SettingsError: no link can have this name."""
    size = len(name.encode("utf-8", "surrogatepass"))
    if name in ("", ".", "..") or size > LINK_NAME_LIMIT:
        raise SettingsError(f"--wg-dev {name!r} is not a link name of 1 to {LINK_NAME_LIMIT} bytes")
    if name.startswith("-"):
        raise SettingsError(f"--wg-dev {name!r} begins as an option does")
    if any(c in "/:%" or c.isspace() or not c.isprintable() for c in name):
        raise SettingsError(f"--wg-dev {name!r} has a character that a link name cannot have")


def _check_networks(overlay: IPv4Network, pods: tuple[IPv4Network, ...]) -> None:
    if not pods:
        raise SettingsError("--pod-cidr names no network")
    named = [("--overlay-cidr", overlay), *(("--pod-cidr", pod) for pod in pods)]
    for option, network in named:
        if network.prefixlen == 0:
            raise SettingsError(f"{option} {network} is every address there is")
        if network.is_multicast or network.is_loopback or network.is_link_local:
            raise SettingsError(f"{option} {network} is not a network that hosts can have")
    for i, (_, network) in enumerate(named):
        for option, other in named[i + 1 :]:
            if network.overlaps(other):
                raise SettingsError(f"{option} {other} overlaps {network}")


def _check_node_ip(address: IPAddress, networks: tuple[IPv4Network, ...]) -> None:
    if address.is_loopback or address.is_unspecified or address.is_multicast:
        raise SettingsError(f"--node-ip {address} is not an address that other nodes can dial")
    for network in networks:
        if address in network:
            raise SettingsError(
                f"--node-ip {address} lies inside {network}, which goes through the tunnel"
            )
