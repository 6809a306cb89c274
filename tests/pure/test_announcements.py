"""What concerns us among the kernel's announcements, from bytes laid out as the kernel's are."""

import struct
from ipaddress import IPv4Network
from socket import AF_INET, AF_INET6

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from overlayd.linux.announcements import Announcements
from overlayd.model.machine import PROTOCOL
from overlayd.netlink import rtnetlink as rt

NETWORKS = (IPv4Network("100.64.0.0/16"), IPv4Network("10.244.0.0/16"))
INDEX = 7
OTHER = 8
LOCAL_TABLE = 255
BOOT = 3

KINDS = (
    *(rt.NEWLINK, rt.DELLINK, rt.NEWADDR, rt.DELADDR),
    *(rt.NEWROUTE, rt.DELROUTE, rt.NEWRULE, rt.DELRULE),
)


def message(kind: int, body: bytes) -> bytes:
    padded = body + bytes(-len(body) % 4)
    return rt.MESSAGE.pack(rt.MESSAGE.size + len(body), kind, 0, 0, 0) + padded


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def link(kind: int, index: int, name: str) -> bytes:
    body = rt.LINK.pack(0, index, 0) + attribute(rt.IFLA_IFNAME, name.encode() + b"\0")
    return message(kind, body)


def address(kind: int, index: int) -> bytes:
    return message(kind, rt.ADDRESS.pack(AF_INET, 32, index))


def route(
    kind: int, to: str, protocol: int, table: int = rt.TABLE_MAIN, family: int = AF_INET
) -> bytes:
    network = IPv4Network(to)
    body = rt.ROUTE.pack(family, network.prefixlen, table, protocol, rt.UNICAST, 0)
    if network.prefixlen:  # the kernel leaves it out of a default route
        body += attribute(rt.RTA_DST, network.network_address.packed)
    return message(kind, body)


def rule(kind: int, protocol: int) -> bytes:
    body = rt.RULE.pack(AF_INET, 16, 0, 0, 7, 0)
    return message(kind, body + attribute(rt.FRA_PROTOCOL, bytes((protocol,))))


class AnnouncementsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.announcements = Announcements("wg0", NETWORKS)
        self.announcements.index = INDEX

    def heard(self, *messages: bytes) -> list[str]:
        return list(self.announcements.concerns(b"".join(messages)))

    def test_our_link(self) -> None:
        """Our link is known by its name, and by its index when it has another name."""
        self.assertEqual(self.heard(link(rt.NEWLINK, INDEX, "wg0")), ["wg0 changed"])
        self.assertEqual(self.heard(link(rt.NEWLINK, INDEX, "wg1")), ["wg0 was renamed"])
        self.assertEqual(self.heard(link(rt.NEWLINK, OTHER, "wg0")), ["wg0 changed"])
        self.assertEqual(self.heard(link(rt.DELLINK, OTHER, "wg0")), ["wg0 was removed"])

    def test_other_links(self) -> None:
        """Links of other names are not ours, even if the name begins as ours does."""
        for name in ("wg01", "wg", "veth1234"):
            for kind in (rt.NEWLINK, rt.DELLINK):
                self.assertEqual(self.heard(link(kind, OTHER, name)), [])

    def test_addresses(self) -> None:
        """Addresses are ours on our link alone, and on a link of our name made meanwhile."""
        ours = ["an address of wg0 was removed"]
        self.assertEqual(self.heard(address(rt.DELADDR, INDEX)), ours)
        self.assertEqual(self.heard(address(rt.DELADDR, OTHER)), [])
        self.heard(link(rt.DELLINK, INDEX, "wg0"), link(rt.NEWLINK, OTHER, "wg0"))
        self.assertEqual(self.heard(address(rt.DELADDR, OTHER)), ours)
        self.assertEqual(self.heard(address(rt.DELADDR, INDEX)), [])

    def test_addresses_without_a_link(self) -> None:
        """Where there is no link of ours, no address is ours."""
        self.heard(link(rt.DELLINK, INDEX, "wg0"))
        self.assertEqual(self.heard(address(rt.NEWADDR, INDEX)), [])

    def test_routes_that_concern_us(self) -> None:
        """Routes of our protocol do, and those of others that overlap our networks."""
        for protocol, to in (
            (PROTOCOL, "10.244.0.0/16"),
            (PROTOCOL, "192.0.2.1/32"),
            (BOOT, "10.244.0.0/16"),
            (BOOT, "10.0.0.0/8"),
            (BOOT, "100.64.3.0/24"),
        ):
            self.assertEqual(
                self.heard(route(rt.DELROUTE, to, protocol)), [f"a route to {to} was removed"]
            )

    def test_routes_that_do_not(self) -> None:
        """A pod's route, the default route, other networks, tables and families do not."""
        for to in ("10.244.1.5/32", "0.0.0.0/0", "192.0.2.0/24"):
            self.assertEqual(self.heard(route(rt.NEWROUTE, to, BOOT)), [])
        other_table = route(rt.NEWROUTE, "10.244.0.0/16", PROTOCOL, table=LOCAL_TABLE)
        other_family = route(rt.NEWROUTE, "10.244.0.0/16", PROTOCOL, family=AF_INET6)
        self.assertEqual(self.heard(other_table, other_family), [])

    def test_rules(self) -> None:
        """Rules are ours by their protocol."""
        self.assertEqual(self.heard(rule(rt.DELRULE, PROTOCOL)), ["a rule of ours was removed"])
        self.assertEqual(self.heard(rule(rt.NEWRULE, BOOT)), [])

    def test_several_in_one_read(self) -> None:
        """What is ours is found among what is not, in order."""
        self.assertEqual(
            self.heard(
                link(rt.NEWLINK, OTHER, "veth1"),
                address(rt.DELADDR, INDEX),
                route(rt.NEWROUTE, "10.244.1.5/32", BOOT),
                rule(rt.DELRULE, PROTOCOL),
            ),
            ["an address of wg0 was removed", "a rule of ours was removed"],
        )

    @settings(deadline=None)
    @given(st.binary(max_size=200))
    def test_any_bytes(self, data: bytes) -> None:
        """No bytes whatever raise."""
        list(Announcements("wg0", NETWORKS).concerns(data))

    @settings(deadline=None)
    @given(st.sampled_from(KINDS), st.binary(max_size=80), st.integers(0, 100))
    def test_any_body(self, kind: int, body: bytes, cut: int) -> None:
        """No body of a message that is ours to read raises, whole or cut."""
        list(Announcements("wg0", NETWORKS).concerns(message(kind, body)[:cut]))
        list(Announcements("wg0", NETWORKS).concerns(message(kind, body)))

    @settings(deadline=None)
    @given(
        st.sampled_from(
            [
                link(rt.NEWLINK, INDEX, "wg0"),
                address(rt.DELADDR, INDEX),
                route(rt.DELROUTE, "10.244.0.0/16", PROTOCOL),
                route(rt.DELROUTE, "10.244.0.0/16", BOOT),
                rule(rt.DELRULE, PROTOCOL),
            ]
        ),
        st.data(),
    )
    def test_a_byte_that_is_wrong(self, data: bytes, draw: st.DataObject) -> None:
        """A message of ours with any one byte changed does not raise."""
        at = draw.draw(st.integers(0, len(data) - 1))
        changed = data[:at] + bytes((draw.draw(st.integers(0, 255)),)) + data[at + 1 :]
        announcements = Announcements("wg0", NETWORKS)
        announcements.index = INDEX
        list(announcements.concerns(changed))
