"""Our routes and rules, and the routes of others that are in their way."""

from ipaddress import ip_address, ip_network

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.changes import RemoveRoute, SetRoute
from overlayd.model.machine import Observed, OwnedRule, Route, Rule, RuleKind
from tests.pure.cluster import (
    NODE_B,
    PEER_B,
    SETTINGS,
    D,
    inventory,
    net,
    node,
    our_route,
    peer,
    planned,
    reasons,
    texts,
    with_link,
    with_routes,
    without_route,
    working,
)

PODS = "10.244.0.0/16"


def changes(there: Observed) -> list[str]:
    return texts(planned(there, inventory(NODE_B)))


def foreign(there: Observed) -> dict[str, str]:
    found = planned(there, inventory(NODE_B)).foreign_routes
    return {f"{f.route.destination} {f.route.link}": f.reason for f in found}


class OurRoutes(SynchronousTestCase):
    def setUp(self) -> None:
        self.there = working(PEER_B)

    def test_right_already(self) -> None:
        """What is right is not written."""
        self.assertEqual(changes(self.there), [])

    def test_missing(self) -> None:
        """A flushed route is set again."""
        there = without_route(self.there, PODS)
        self.assertEqual(changes(there), ["route 10.244.0.0/16 through wg0 from 100.64.0.1"])

    def test_set_right(self) -> None:
        """A wrong source or another protocol number on our own link is replaced in one step."""
        for wrong in (our_route(PODS, None), evolve(our_route(PODS), protocol=4)):
            there = with_routes(without_route(self.there, PODS), wrong)
            self.assertEqual(changes(there), ["route 10.244.0.0/16 through wg0 from 100.64.0.1"])

    def test_ours_elsewhere_go(self) -> None:
        """Routes of our protocol number for other networks, links or metrics are removed."""
        for stray in (
            our_route("10.245.0.0/16"),
            evolve(our_route(PODS), link="eth0"),
            evolve(our_route(PODS), metric=9),
        ):
            decided = planned(with_routes(self.there, stray), inventory(NODE_B))
            self.assertEqual([getattr(c, "route", None) for c in decided.changes], [stray])
            self.assertIsInstance(decided.changes[0], RemoveRoute)

    def test_one_that_is_replaced_is_not_removed(self) -> None:
        """A route of ours on the wrong link is overwritten, and there is nothing to remove."""
        there = with_routes(without_route(self.there, PODS), evolve(our_route(PODS), link="eth0"))
        decided = planned(there, inventory(NODE_B))
        self.assertEqual([type(c) for c in decided.changes], [SetRoute])

    def test_others_are_left_alone(self) -> None:
        """Routes of other protocol numbers are never removed."""
        other = Route(ip_network("10.99.0.0/16"), "eth0", protocol=4)
        self.assertEqual(changes(with_routes(self.there, other)), [])


class ForeignRoutes(SynchronousTestCase):
    def test_one_in_the_place_of_ours(self) -> None:
        """It is named, and not replaced."""
        blocking = Route(net(PODS), "eth0", ip_address("10.0.0.254"))
        there = with_routes(without_route(working(PEER_B), PODS), blocking)
        self.assertEqual(changes(there), [])
        self.assertEqual(
            foreign(there), {"10.244.0.0/16 eth0": "takes all of its traffic past the tunnel"}
        )

    def test_one_with_a_larger_metric(self) -> None:
        """It takes nothing while ours is there, and ours is set beside it."""
        waiting = Route(net(PODS), "eth0", metric=100)
        there = with_routes(without_route(working(PEER_B), PODS), waiting)
        self.assertEqual(len(changes(there)), 1)
        self.assertIn("would take", foreign(there)["10.244.0.0/16 eth0"])

    def test_a_more_specific_one(self) -> None:
        """One that takes a part of what a peer gets, or all of it, is named with the Node."""
        for destination in ("10.244.2.0/25", "10.244.2.0/24", "10.244.2.0/23"):
            there = with_routes(working(PEER_B), Route(net(destination), "eth0"))
            self.assertEqual(
                foreign(there), {f"{destination} eth0": "takes traffic for 10.244.2.0/24 of b"}
            )
            self.assertEqual(changes(there), [])

    def test_our_own_pods_are_no_strangers(self) -> None:
        """Routes to our own pods, and those that touch no peer, are not named."""
        there = with_link(working(PEER_B), evolve(working().links["eth0"], name="cni0", index=9))
        there = with_routes(
            there,
            Route(net("10.244.1.0/24"), "cni0", protocol=2),
            Route(net("10.244.1.7/32"), "cni0"),
            Route(net("10.244.77.0/24"), "eth0"),
            Route(net("10.0.0.0/8"), "eth0"),
            Route(net("192.0.2.0/24"), "eth0"),
        )
        self.assertEqual(foreign(there), {})

    def test_our_own_pods_are_none_either_when_we_lost_them(self) -> None:
        """We go on carrying our pods where another Node holds our podCIDR, and say that we lost."""
        there = with_routes(
            working(peer(D, "10.244.1.0/24", "10.0.0.9:51820")),
            Route(net("10.244.1.0/24"), "cni0", protocol=2),
        )
        decided = planned(there, inventory(node("m", "10.0.0.9", D, pods="10.244.1.0/24")))
        self.assertEqual((decided.changes, decided.foreign_routes), ((), ()))
        self.assertEqual(reasons(decided), {"a podCIDR 10.244.1.0/24": "m holds it"})
        self.assertEqual(decided.own.pod_cidrs, (net("10.244.1.0/24"),))


class Rules(SynchronousTestCase):
    def with_rules(self, *rules: Rule | None) -> Observed:
        return evolve(working(PEER_B), rules=tuple(OwnedRule(r, n) for n, r in enumerate(rules)))

    def wanted(self) -> list[Rule]:
        return [Rule(n, k) for n in SETTINGS.networks for k in RuleKind]

    def test_missing_ones_come_back(self) -> None:
        """For each network first the rule that keeps traffic in, then the one that refuses."""
        self.assertEqual(
            changes(self.with_rules()),
            [
                "add rule to 100.64.0.0/16 lookup main suppress_prefixlength",
                "add rule to 10.244.0.0/16 lookup main suppress_prefixlength",
                "add rule to 100.64.0.0/16 unreachable",
                "add rule to 10.244.0.0/16 unreachable",
            ],
        )

    def test_unwanted_ones_go(self) -> None:
        """Rules for other networks, unknown ones, and second copies; what refuses goes first."""
        keep, refuse = (Rule(net("10.99.0.0/16"), kind) for kind in RuleKind)
        there = self.with_rules(*self.wanted(), keep, refuse, None, self.wanted()[0])
        self.assertEqual(
            changes(there),
            [
                "remove rule to 10.99.0.0/16 unreachable",
                "remove stray rule",
                "remove rule to 10.99.0.0/16 lookup main suppress_prefixlength",
                "remove rule to 100.64.0.0/16 lookup main suppress_prefixlength",
            ],
        )
