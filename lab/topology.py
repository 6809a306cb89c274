"""Who is wired to whom: an underlay, a management network, nodes, and pods behind them.

        pods ── cni0 ┐                          ┌ cni0 ── pods
                   node1 ── eth0 ─ underlay ─ eth0 ── node2
                     └ mgmt0 ─ management ─ mgmt0 ┘
                               (API server)

A node's default route leads to the underlay's gateway, so what should be encrypted and is not
would leave, and be seen there.
"""

import os
import subprocess
from ipaddress import IPv4Address, IPv4Network

from attrs import frozen

from lab.namespaces import Namespace

UNDERLAY = IPv4Network("172.30.0.0/24")
MANAGEMENT = IPv4Network("172.31.0.0/24")
OVERLAY = IPv4Network("100.64.0.0/16")
PODS = IPv4Network("10.244.0.0/16")
POD_PREFIX = 24
FIRST_HOST = 10
"""Node 1 has the eleventh address of each network."""

_BRIDGE_MAC = "02:00:00:00:00:01"
"""A bridge without one of its own takes that of a port, and loses it when that port goes."""


class Switch:
    """A network: a bridge in a namespace of its own, with the gateway's address on it."""

    def __init__(self, name: str, network: IPv4Network) -> None:
        self.network = network
        self.gateway = network[1]
        self.namespace = Namespace(name)
        self.namespace.run(
            *("ip", "-batch", "-"),
            given=f"""
link add bridge address {_BRIDGE_MAC} type bridge forward_delay 0
addr add {self.gateway}/{network.prefixlen} dev bridge
link set bridge up
""",
        )

    def plug(self, machine: Namespace, link: str, address: IPv4Address) -> None:
        """Give a machine a link of this name to the network, with an address, up.

        That of a machine of the same name that was switched off may not be gone yet.
        """
        self.namespace.attempt("ip", "link", "del", machine.name)
        self.namespace.run(
            *("ip", "-batch", "-"),
            given=f"""
link add {machine.name} type veth peer name {link} netns {machine.pid}
link set {machine.name} master bridge up
""",
        )
        machine.run(
            *("ip", "-batch", "-"),
            given=f"addr add {address}/{self.network.prefixlen} dev {link}\nlink set {link} up\n",
        )

    def plug_in_lab(self) -> None:
        """Give this very process, and what it starts outside of machines, an address here.

        Its network namespace must be one that ends with it (`lab.private`).
        """
        link, address = f"lab-{self.namespace.name}"[:15], self.network[2]
        subprocess.run(["ip", "link", "del", link], capture_output=True)
        self.namespace.run(
            *("ip", "-batch", "-"),
            given=f"""
link add lab type veth peer name {link} netns {os.getpid()}
link set lab master bridge up
""",
        )
        up = f"addr add {address}/{self.network.prefixlen} dev {link}\nlink set {link} up\n"
        subprocess.run(["ip", "-batch", "-"], input=up.encode(), check=True)

    def close(self) -> None:
        self.namespace.close()


class Pod:
    """A network namespace with one address out of its node's podCIDR."""

    def __init__(self, node: Namespace, pod_cidr: IPv4Network, number: int) -> None:
        self.address = pod_cidr[1 + number]
        self.name = f"{node.name}-pod{number}"
        self.namespace = Namespace(self.name)
        link = f"pod{number}"
        node.run(
            *("ip", "-batch", "-"),
            given=f"""
link add {link} type veth peer name eth0 netns {self.namespace.pid}
link set {link} master cni0 up
""",
        )
        self.namespace.run(
            *("ip", "-batch", "-"),
            given=f"""
addr add {self.address}/{pod_cidr.prefixlen} dev eth0
link set eth0 up
route add default via {pod_cidr[1]}
""",
        )

    def close(self) -> None:
        self.namespace.close()


@frozen
class Place:
    """What a node is called, and what is its own."""

    name: str
    address: IPv4Address
    pod_cidr: IPv4Network

    @classmethod
    def of(cls, number: int, name: str | None = None) -> "Place":
        """That of a node whose addresses are all made of its number."""
        pod_cidr = list(PODS.subnets(new_prefix=POD_PREFIX))[number]
        return cls(name or f"node{number}", UNDERLAY[FIRST_HOST + number], pod_cidr)


class Node:
    """A machine of the cluster: number 1, 2, ... with one pod behind its own bridge.

    All its addresses are made of the number, but for those of its pods where a `pod_cidr` is given.
    """

    def __init__(
        self,
        number: int,
        underlay: Switch,
        management: Switch,
        name: str | None = None,
        pod_cidr: IPv4Network | None = None,
    ) -> None:
        place = Place.of(number, name)
        self.name, self.address = place.name, place.address
        self.overlay_address = OVERLAY[int(self.address) & int(OVERLAY.hostmask)]
        self.pod_cidr = pod_cidr or place.pod_cidr
        self.namespace = Namespace(self.name)
        underlay.plug(self.namespace, "eth0", self.address)
        management.plug(self.namespace, "mgmt0", management.network[FIRST_HOST + number])
        self.namespace.run(
            *("ip", "-batch", "-"),
            given=f"""
route add default via {underlay.gateway}
link add cni0 address {_BRIDGE_MAC} type bridge forward_delay 0
addr add {self.pod_cidr[1]}/{self.pod_cidr.prefixlen} dev cni0
link set cni0 up
""",
        )
        self.pod = Pod(self.namespace, self.pod_cidr, 1)

    def forward(self, on: bool = True) -> None:
        """Let the kernel pass packets on, as overlayd does, or not."""
        self.namespace.run("tee", "/proc/sys/net/ipv4/ip_forward", given=str(int(on)))

    def close(self) -> None:
        self.pod.close()
        self.namespace.close()
