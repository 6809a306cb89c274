"""The machine's network stack, read and changed by `Network`, seen through ip(8)."""

import subprocess
import sys
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from lab import private
from overlayd.linux.network import Network
from overlayd.model.changes import (
    AddAddress,
    AddRule,
    BringUp,
    EnableForwarding,
    NetworkChange,
    RemoveAddress,
    RemoveLink,
    RemoveRoute,
    RemoveRule,
    SetAlias,
    SetMtu,
    SetRoute,
)
from overlayd.model.machine import ALIAS, PROTOCOL, Address, Link, Route, Rule, RuleKind
from tests.machine.stack import applied, clean, ip, make_tunnel

PODS = IPv4Network("10.244.0.0/16")
OURS = IPv4Interface("100.64.0.7/32")
ROUTE = Route(PODS, "wg0", source=OURS.ip, protocol=PROTOCOL)
KEEP_IN, REFUSE = Rule(PODS, RuleKind.KEEP_IN), Rule(PODS, RuleKind.REFUSE)
WHY = "a test"

DEVICE: tuple[NetworkChange, ...] = (
    SetAlias("wg0", WHY),
    SetMtu("wg0", 1400, WHY),
    AddAddress("wg0", OURS, WHY),
    BringUp("wg0", WHY),
)
RULES: tuple[NetworkChange, ...] = (AddRule(KEEP_IN, WHY), AddRule(REFUSE, WHY))
EVERYTHING = (*RULES, *DEVICE, SetRoute(ROUTE, WHY), EnableForwarding(WHY))


class StackTestCase(SynchronousTestCase):
    """A namespace with a fresh tunnel link and nothing else."""

    skip = private.missing()

    def setUp(self) -> None:
        clean()
        make_tunnel()
        self.addCleanup(clean)
        self.network = Network()

    def routes_to(self, network: IPv4Network) -> set[Route]:
        return {r for r in self.network.observe().routes if r.destination == network}

    def error_of(self, change: NetworkChange) -> str:
        error = self.network.apply(change).error
        assert error is not None, f"{change} was made"
        return error


class ChangeTests(StackTestCase):
    def test_everything_is_made(self) -> None:
        """What is applied is what is read afterwards."""
        seen = applied(self, *EVERYTHING)
        link = seen.links["wg0"]
        self.assertEqual(link, Link(link.index, "wg0", "tun", ALIAS, 1400, up=True))
        self.assertEqual(seen.addresses_of("wg0"), {OURS})
        self.assertEqual([r for r in seen.routes if r.link == "wg0"], [ROUTE])
        self.assertEqual([r.rule for r in seen.rules], [KEEP_IN, REFUSE])
        self.assertTrue(seen.forwarding)

    def test_as_ip_shows_it(self) -> None:
        """Other programs see the rules, the route and the address as the design words them."""
        applied(self, *EVERYTHING)
        rules, routes = ip("rule show"), ip("route show")
        self.assertIn("to 10.244.0.0/16 lookup main suppress_prefixlength 15 proto 87", rules)
        self.assertIn("to 10.244.0.0/16 unreachable proto 87", rules)
        self.assertIn("10.244.0.0/16 dev wg0 proto 87 scope link src 100.64.0.7", routes)
        self.assertIn("inet 100.64.0.7/32 scope global wg0", ip("addr show wg0"))

    def test_twice_is_once(self) -> None:
        """Making what is made already is no error and changes nothing."""
        once = applied(self, *EVERYTHING)
        self.assertEqual(applied(self, *EVERYTHING), once)

    def test_removed_and_gone(self) -> None:
        """What is removed is not there, and removing what is gone is no error."""
        seen = applied(self, *EVERYTHING)
        removals: tuple[NetworkChange, ...] = (
            RemoveRoute(ROUTE, WHY),
            *(RemoveRule(owned, WHY) for owned in seen.rules),
            RemoveAddress("wg0", OURS, WHY),
        )
        left = applied(self, *removals)
        self.assertEqual(left.rules, ())
        self.assertEqual(left.addresses_of("wg0"), frozenset())
        self.assertEqual(self.routes_to(PODS), set())
        applied(self, *removals)
        self.assertNotIn("wg0", applied(self, RemoveLink("wg0", WHY)).links)
        applied(self, RemoveLink("wg0", WHY), RemoveAddress("wg0", OURS, WHY), *removals)

    def test_what_fails_is_told_in_words(self) -> None:
        """A failed change names the error, its meaning, and what the kernel says about it."""
        self.assertEqual(self.error_of(BringUp("wg9", WHY)), "ENODEV (No such device)")
        applied(self, BringUp("wg0", WHY))
        self.assertEqual(
            self.error_of(SetRoute(ROUTE, WHY)),
            "EINVAL (Invalid argument): Invalid prefsrc address",
        )
        self.assertEqual(self.routes_to(PODS), set())

    def test_read_only_sysctl(self) -> None:
        """Where forwarding cannot be switched on, the error has the command that does it."""
        Path("/proc/sys/net/ipv4/ip_forward").write_text("0")
        subprocess.run(["mount", "--bind", "-o", "ro", "/proc/sys", "/proc/sys"], check=True)
        self.addCleanup(subprocess.run, ["umount", "/proc/sys"], check=True)
        self.assertIn("`sysctl -w net.ipv4.ip_forward=1`", self.error_of(EnableForwarding(WHY)))
        self.assertFalse(self.network.observe().forwarding)


class OursAloneTests(StackTestCase):
    def setUp(self) -> None:
        super().setUp()
        applied(self, *DEVICE)

    def test_our_route_is_replaced(self) -> None:
        """A route of ours that says something else becomes the one wanted, not a second one."""
        ip("route add 10.244.0.0/16 dev wg0 proto 87 mtu 1300")
        applied(self, SetRoute(ROUTE, WHY))
        self.assertEqual(self.routes_to(PODS), {ROUTE})

    def test_foreign_route_in_the_place(self) -> None:
        """A route of someone else to the same destination stays, and the error names a way out."""
        ip("route add 10.244.0.0/16 dev lo proto static")
        self.assertIn("ip route del 10.244.0.0/16", self.error_of(SetRoute(ROUTE, WHY)))
        self.assertEqual({r.link for r in self.routes_to(PODS)}, {"lo"})

    def test_route_on_our_own_device(self) -> None:
        """One that someone made anew on our device, without our protocol, becomes ours again."""
        ip("route add 10.244.0.0/16 dev wg0")
        applied(self, SetRoute(ROUTE, WHY))
        self.assertEqual({(r.link, r.protocol) for r in self.routes_to(PODS)}, {("wg0", PROTOCOL)})

    def test_hole_in_the_place(self) -> None:
        """A route that leads nowhere is replaced if it is ours by its protocol, and only then."""
        ip("route add blackhole 10.244.0.0/16 proto static")
        self.assertIn("ip route del 10.244.0.0/16", self.error_of(SetRoute(ROUTE, WHY)))
        ip("route replace blackhole 10.244.0.0/16 proto 87")
        applied(self, SetRoute(ROUTE, WHY))
        self.assertEqual(self.routes_to(PODS), {ROUTE})

    def test_foreign_route_is_not_removed(self) -> None:
        """Removing our route leaves one that differs from it by its protocol only."""
        ip("route add 10.244.0.0/16 dev wg0 proto static src 100.64.0.7")
        applied(self, RemoveRoute(ROUTE, WHY))
        self.assertEqual({r.protocol for r in self.routes_to(PODS)}, {4})

    def test_foreign_rule(self) -> None:
        """A rule that differs from ours by its protocol only is not seen, and not removed."""
        foreign = f"to {PODS} unreachable proto static"
        ip(f"rule add priority 5181 {foreign}")
        seen = applied(self, *RULES)
        self.assertEqual(len(seen.rules), 2)
        applied(self, *(RemoveRule(owned, WHY) for owned in seen.rules))
        self.assertIn(foreign, ip("rule show"))

    def test_one_rule_is_removed(self) -> None:
        """Strays of our protocol are no rules that we make, and go without the one beside them."""
        strays = (
            f"rule add priority 5181 from 10.9.9.9 to {PODS} unreachable proto 87",
            f"rule add priority 5181 to {PODS} iif lo unreachable proto 87",
            f"rule add priority 5181 to {PODS} blackhole proto 87",
            f"rule add priority 5180 to {PODS} lookup main suppress_prefixlength 14 proto 87",
            f"rule add priority 5180 to {PODS} lookup main proto 87",
            f"rule add priority 900 to {PODS} unreachable proto 87",
        )
        ip(*strays)
        seen = applied(self, *RULES)
        found = [owned for owned in seen.rules if owned.rule is None]
        self.assertEqual(len(found), len(strays))
        left = applied(self, *(RemoveRule(owned, WHY) for owned in found))
        self.assertEqual([owned.rule for owned in left.rules], [KEEP_IN, REFUSE])


class ReadingTests(StackTestCase):
    def test_fresh_namespace(self) -> None:
        """A machine without routes is read as one; in the kernel it may not even have a table."""
        done = subprocess.run(
            ["unshare", "--net", sys.executable, "-c", _OBSERVE], capture_output=True, text=True
        )
        self.assertEqual(done.stdout, "frozenset() ()\n", done.stderr)

    def test_foreign_routes(self) -> None:
        """Gateways, metrics and MTUs are read, and each hop of a multipath route."""
        ip("link add veth0 type veth peer name veth1", "addr add 192.0.2.1/24 dev veth0")
        ip("link set veth0 up", "link set veth1 up")
        ip(
            "route add default via 192.0.2.254 metric 5",
            "route add 10.244.9.0/24 dev veth0 mtu 999",
        )
        ip("route add 10.9.0.0/16 nexthop via 192.0.2.2 nexthop via 192.0.2.3")
        gateway = IPv4Address("192.0.2.254")
        hops = [IPv4Address("192.0.2.2"), IPv4Address("192.0.2.3")]
        boot, kernel = 3, 2
        self.assertEqual(
            {r for r in self.network.observe().routes if r.destination.version == 4},
            {
                Route(IPv4Network("0.0.0.0/0"), "veth0", gateway, protocol=boot, metric=5),
                Route(IPv4Network("10.244.9.0/24"), "veth0", protocol=boot, mtu=999),
                *(Route(IPv4Network("10.9.0.0/16"), "veth0", h, protocol=boot) for h in hops),
                Route(
                    IPv4Network("192.0.2.0/24"),
                    "veth0",
                    source=IPv4Address("192.0.2.1"),
                    protocol=kernel,
                ),
            },
        )

    def test_links_and_addresses(self) -> None:
        """Every link has its kind and flags; addresses are those of the link they are on."""
        ip("link add veth0 type veth peer name veth1", "addr add 192.0.2.1/24 dev veth0")
        seen = self.network.observe()
        self.assertTrue(seen.links["lo"].loopback and seen.links["lo"].up)
        self.assertEqual((seen.links["veth0"].kind, seen.links["veth0"].up), ("veth", False))
        self.assertIn(Address("veth0", IPv4Interface("192.0.2.1/24")), seen.addresses)

    def test_many_links(self) -> None:
        """What the kernel tells in several messages is read whole."""
        ip(*(f"link add v{i} type veth peer name w{i}" for i in range(60)))
        names = {f"{end}{i}" for i in range(60) for end in "vw"} | {"lo", "wg0"}
        self.assertLessEqual(names, self.network.observe().links.keys())


class LeakTests(StackTestCase):
    def test_nothing_leaves_without_the_device(self) -> None:
        """With the device gone and the routes flushed, a pod's address is refused, not routed."""
        ip("link add veth0 type veth peer name veth1", "addr add 192.0.2.1/24 dev veth0")
        ip("link set veth0 up", "link set veth1 up", "route add default via 192.0.2.254")
        ip("route add 10.244.7.0/24 dev veth0")
        self.assertIn("via 192.0.2.254", ip("route get 10.244.3.4"))
        applied(self, *EVERYTHING)
        self.assertIn("dev wg0", ip("route get 10.244.3.4"))
        ip("link del wg0", "route flush proto 87")
        refused = subprocess.run(["ip", "route", "get", "10.244.3.4"], capture_output=True)
        self.assertIn(b"unreachable", refused.stderr)
        self.assertIn("dev veth0", ip("route get 10.244.7.4"))
        self.assertIn("via 192.0.2.254", ip("route get 198.51.100.1"))


_OBSERVE = """
from overlayd.linux.network import Network
seen = Network().observe()
print(seen.routes, seen.rules)
"""
