"""What the kernel announces, heard in a running reactor."""

from ipaddress import IPv4Interface, IPv4Network

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IReactorFDSet
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from lab import private
from lab.eventually import REPAIR
from overlayd.model.changes import AddAddress, AddRule, BringUp, NetworkChange, SetRoute
from overlayd.model.machine import PROTOCOL, Route, Rule, RuleKind
from overlayd.services.kernel_events import KernelEvents
from tests.machine.stack import applied, clean, ip, make_tunnel

PODS = IPv4Network("10.244.0.0/16")
OURS = IPv4Interface("100.64.0.7/32")
ADDRESS = AddAddress("wg0", OURS, "")
UP_AND_ROUTED: tuple[NetworkChange, ...] = (
    BringUp("wg0", ""),
    SetRoute(Route(PODS, "wg0", source=OURS.ip, protocol=PROTOCOL), ""),
    *(AddRule(Rule(PODS, kind), "") for kind in RuleKind),
)
POD = (
    "link add veth0 type veth peer name veth1",
    "addr add 10.244.1.1/32 dev veth0",
    "link set veth0 up",
    "link set veth1 up",
    "route add 10.244.1.5/32 dev veth0 src 10.244.1.1",
    "rule add to 10.244.1.5 lookup main priority 512",
)
POD_GONE = ("route del 10.244.1.5/32", "rule del priority 512", "link del veth0")


class KernelEventsTests(TestCase):
    """A device of ours with an address, and a listener that hears what happens after."""

    skip = private.missing()
    timeout = 2 * REPAIR

    def setUp(self) -> None:
        clean()
        self.addCleanup(clean)
        make_tunnel()
        applied(self, ADDRESS)
        self.heard: list[str] = []
        self._awaited: tuple[str, Deferred[None]] | None = None
        self.events = KernelEvents(IReactorFDSet(reactor), "wg0", [PODS], self._wanted)

    def listen(self) -> None:
        self.events.startService()
        self.addCleanup(self.events.stopService)

    def _wanted(self, reasons: str) -> None:
        self.heard.append(reasons)
        if self._awaited is not None and self._awaited[0] in reasons:
            (_, awaited), self._awaited = self._awaited, None
            awaited.callback(None)

    def hears(self, reason: str, *lines: str) -> "Deferred[None]":
        """Run ip(8) on the lines; fire when `wanted` was called with the reason after that."""
        awaited: Deferred[None] = Deferred()
        self._awaited = (reason, awaited)
        ip(*lines)
        return awaited

    async def test_link(self) -> None:
        """The end of our link is heard, and a new one of its name, with what is done to it."""
        self.listen()
        await self.hears("wg0 was removed", "link del wg0")
        await self.hears("wg0 changed", "tuntap add wg0 mode tun")
        await self.hears("an address of wg0 was added", "addr add 100.64.0.9/32 dev wg0")
        await self.hears("wg0 was renamed", "link set wg0 name other")
        await self.hears("wg0 changed", "link set other name wg0")

    async def test_address(self) -> None:
        """An address taken from our link is heard."""
        self.listen()
        await self.hears("an address of wg0 was removed", "addr flush dev wg0")

    async def test_routes_flushed(self) -> None:
        """Routes of ours that someone flushes are heard."""
        applied(self, *UP_AND_ROUTED)
        self.listen()
        await self.hears("a route to 10.244.0.0/16 was removed", "route flush dev wg0")

    async def test_rule_deleted(self) -> None:
        """A rule of ours that someone deletes is heard."""
        applied(self, *UP_AND_ROUTED)
        self.listen()
        await self.hears("a rule of ours was removed", "rule del priority 5181")

    async def test_route_in_the_way(self) -> None:
        """A route of someone else that takes traffic of ours is heard."""
        self.listen()
        await self.hears("a route to 10.244.9.0/24 was added", "route add 10.244.9.0/24 dev lo")

    async def test_pods_come_and_go(self) -> None:
        """The links, addresses, routes and rules of pods are not heard at all.

        Announcements come in order: what is heard last came after all that the pod caused.
        """
        self.listen()
        added = "an address of wg0 was added"
        await self.hears(added, *POD, *POD_GONE, "addr add 100.64.0.9/32 dev wg0")
        self.assertEqual(self.heard, [added])

    async def test_dropped_announcements(self) -> None:
        """Where the kernel had to drop some, that is a reason, and the link is known anew."""
        self.listen()
        ip("link del wg0", "tuntap add wg0 mode tun", "link add veth0 type veth peer name veth1")
        flood = [f"link set veth0 mtu {1000 + i % 2}" for i in range(4000)]
        await self.hears("the kernel dropped announcements", *flood)
        await self.hears("an address of wg0 was added", "addr add 100.64.0.9/32 dev wg0")

    async def test_broken_socket(self) -> None:
        """A socket that breaks is made anew, and what was missed meanwhile is a reason."""
        self.listen()
        self.events.connectionLost(Failure(ConnectionLost()))  # as the reactor finds it
        await self.hears("announcements of the kernel were missed", "addr flush dev wg0")
        await self.hears("an address of wg0 was added", "addr add 100.64.0.9/32 dev wg0")

    async def test_stopped(self) -> None:
        """A listener that was stopped has no socket left, and can be started again."""
        self.events.startService()
        self.events.stopService()
        self.assertEqual(self.events.fileno(), -1)
        self.listen()
        await self.hears("an address of wg0 was removed", "addr flush dev wg0")
