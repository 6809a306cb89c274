"""wg-overlay on a node of the lab, as far as others see it: what it makes, writes, and looks at.

A model of its rules, in the words of its own annotations: a Node that has both is looked at once,
and a key once seen never again.
"""

from ipaddress import IPv4Network
from threading import Event, Thread
from typing import Any, Self

from attrs import frozen

from lab.cluster import Cluster
from lab.device import Device as AnyDevice
from lab.topology import OVERLAY, PODS, Node
from overlayd.model.keys import PrivateKey, PublicKey

_KEY, _ADDRESS = "wireguard-publickey", "wireguard-ip"
_PORT = 51820
_LINK = "wg0"
_INTERVAL = 0.05  # seconds between two looks at the Nodes: its watch would see each change


@frozen
class Device:
    """The device that its init container makes."""

    node: Node
    device: AnyDevice
    key: PrivateKey

    @classmethod
    def make(cls, node: Node, prefix_length: int = 32) -> Self:
        """Make it: with a key, the address, up, and with one route for each network."""
        key = PrivateKey.generate()
        device = AnyDevice(node.namespace, _LINK)
        device.make()
        device.rotate(key)
        device.listen(_PORT)
        routes = (
            f"route replace {network} dev {_LINK} scope global" for network in (OVERLAY, PODS)
        )
        node.namespace.run(
            *("ip", "-batch", "-"),
            given="\n".join(
                (
                    f"addr add {node.overlay_address}/{prefix_length} dev {_LINK}",
                    f"link set {_LINK} up",
                    *routes,
                    "",
                )
            ),
        )
        node.forward()
        return cls(node, device, key)


class Controller:
    """Follows the Nodes from a thread of its own while it is entered."""

    def __init__(self, device: Device, cluster: Cluster) -> None:
        self._device = device
        self._cluster = cluster
        self._seen: set[str] = set()
        self._stop = Event()
        self._thread = Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it: the device stays as it is."""
        self._stop.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._stop.wait(_INTERVAL):
            for node in self._cluster.nodes():
                self._look_at(node)

    def _look_at(self, node: dict[str, Any]) -> None:
        annotations = node["metadata"].get("annotations", {})
        if node["metadata"]["name"] == self._device.node.name:
            self._annotate(annotations)
        elif _KEY in annotations and _ADDRESS in annotations:
            self._add_peer(annotations[_KEY], annotations[_ADDRESS], node)

    def _annotate(self, found: dict[str, str]) -> None:
        """Without asking whether the Node has podCIDRs."""
        ours = {
            _KEY: str(self._device.key.public()),
            _ADDRESS: str(self._device.node.overlay_address),
        }
        if not ours.items() <= found.items():
            self._cluster.patch(self._device.node.name, {"metadata": {"annotations": ours}})

    def _add_peer(self, key: str, address: str, node: dict[str, Any]) -> None:
        if key in self._seen:
            return
        self._seen.add(key)
        internal = next(a for a in node["status"]["addresses"] if a["type"] == "InternalIP")
        self._device.device.add_peer(
            PublicKey.parse(key),
            f"{internal['address']}:{_PORT}",
            *map(IPv4Network, (*node["spec"].get("podCIDRs", ()), f"{address}/32")),
        )
