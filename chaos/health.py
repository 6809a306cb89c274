"""What a whole node looks like, and what is wrong with one that is not."""

from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPException
from ipaddress import IPv4Network

from chaos.cluster_faults import BAD
from lab.cluster import ApiRefused, Cluster, Document
from lab.device import Reading
from lab.mesh import Member
from lab.topology import OVERLAY, PODS
from overlayd.model.keys import PublicKey
from overlayd.model.node import ADDRESS_ANNOTATION, KEY_ANNOTATION

Peers = Mapping[PublicKey, frozenset[str]]

_PORT = 51820
_SHOW = "addr show dev wg0\nrule\nroute\n"
_COMPLAINTS = ("Traceback", "nobody thought of", "an error in overlayd itself")


class Health:
    """Compares every node with what the Nodes of the cluster say now."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._nodes: dict[str, Document] = {}
        self._held: set[tuple[str, PublicKey]] = set()

    def read_cluster(self) -> list[str]:
        """Read the Nodes; what is wrong with the API server."""
        try:
            self._nodes = {node["metadata"]["name"]: node for node in self._cluster.nodes()}
        except (ApiRefused, OSError, HTTPException) as error:
            return [f"the API server does not answer: {error!r}"]
        return []

    def wrongs(self, members: Sequence[Member]) -> list[str]:
        """What is wrong with nodes, by the Nodes as they were last read.

        The devices come first, all of them at once: Nodes come and go meanwhile.
        """
        readings = [(member, member.daemon.device.read()) for member in members]
        wrong = [
            f"{member.name}: {what}"
            for member, reading in readings
            for what in self._wrong_device(member, reading)
        ]
        return wrong or [f"{m.name}: {what}" for m in members for what in _wrong_machine(m)]

    def _wrong_device(self, member: Member, reading: Reading | None) -> Iterator[str]:
        if reading is None or reading.key is None:
            yield "the device does not answer, or has no key"
            return
        if reading.port != _PORT:
            yield f"it listens on {reading.port}"
        if _key(self._nodes.get(member.name, {})) != reading.key:
            yield "it announces another key than it has"
        yield from self._wrong_peers(member, reading.peers)

    def _wrong_peers(self, member: Member, has: Peers) -> Iterator[str]:
        good = {
            key: (name, _claims(node))
            for name, node in self._nodes.items()
            if name != member.name and not name.startswith(BAD) and (key := _key(node))
        }
        for key, (name, claims) in good.items():
            if has.get(key) != claims:
                yield f"its peer {name} has {sorted(has.get(key, ()))}"
        bad = {_key(node) for name, node in self._nodes.items() if name.startswith(BAD)}
        strange = {key for key in has if key not in good and key not in bad}
        if any((member.name, key) not in self._held for key in strange):
            self._ask_for_held(member)
        for key in strange:
            if (member.name, key) not in self._held:
                yield f"a peer {key} is neither a Node's nor held"

    def _ask_for_held(self, member: Member) -> None:
        status = member.daemon.status() or {}
        for held in status.get("held", ()):
            self._held.add((member.name, PublicKey.parse(held["publicKey"])))


def complaints(member: Member) -> list[str]:
    """What no daemon should ever do: lines in its log, and processes that it forgot."""
    lines = member.daemon.log().splitlines()
    found = [f"it logged {line}" for line in lines if any(c in line for c in _COMPLAINTS)]
    tunnels = len(member.node.namespace.running("wireguard-go"))
    return found if tunnels == 1 else [*found, f"{tunnels} processes of wireguard-go"]


def _wrong_machine(member: Member) -> Iterator[str]:
    shown = member.node.namespace.attempt("ip", "-force", "-d", "-batch", "-", given=_SHOW).stdout
    address = member.node.overlay_address
    wanted = ["alias overlayd", "mtu 1420", "UP", f"inet {address}/32 "]
    for network in (OVERLAY, PODS):
        wanted += [f"to {network} lookup main suppress_prefixlength", f"to {network} unreachable"]
        wanted.append(_route(network, str(address)))
    for text in wanted:
        if text not in shown:
            yield f"ip(8) does not show {text!r}"


def _route(network: IPv4Network, source: str) -> str:
    return f"{network} dev wg0 proto 87 scope link src {source}"


def _key(node: Document) -> PublicKey | None:
    text = node.get("metadata", {}).get("annotations", {}).get(KEY_ANNOTATION)
    try:
        return PublicKey.parse(text) if text else None
    except ValueError:
        return None


def _claims(node: Document) -> frozenset[str]:
    address = node["metadata"]["annotations"].get(ADDRESS_ANNOTATION)
    pods = node["spec"].get("podCIDRs", ())
    return frozenset((*pods, f"{address}/32")) if address else frozenset(pods)
