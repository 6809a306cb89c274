"""What the log says of claims that are left out and of foreign routes."""

from ipaddress import IPv4Network

from twisted.internet.testing import EventLoggingObserver
from twisted.logger import LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.machine import Route
from overlayd.model.node import Claim, Inventory
from overlayd.model.status import ForeignRoute, Quarantine, State, StateName
from overlayd.passes import PassResult
from overlayd.plan.result import Memory, Plan
from overlayd.services.left_out import NAMED, LeftOut
from tests.bare_machine import BARE

ONE = Quarantine("n1", Claim.POD_CIDR, "10.244.2.0/24", "n2 holds it")
TWO = Quarantine("n3", Claim.KEY, "AAAA", "it is the key of our own device")
ROUTE = ForeignRoute(Route(IPv4Network("10.244.3.0/25"), link="eth0"), "takes traffic of n3")
INVENTORY = Inventory({}, frozenset(), "1")


class LeftOutTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.left_out = LeftOut()
        self.observer = EventLoggingObserver.createWithCleanup(
            self,  # type: ignore[arg-type]
            globalLogPublisher,
        )

    def said(
        self,
        *claims: Quarantine,
        routes: tuple[ForeignRoute, ...] = (),
        state: State | None = None,
        error: str | None = None,
        inventory: Inventory | None = INVENTORY,
    ) -> list[tuple[LogLevel, str]]:
        """What is logged after a pass that found these."""
        before = len(self.observer)
        plan = Plan((), Memory(), state, quarantines=claims, foreign_routes=routes)
        self.left_out.after_pass(PassResult(inventory, BARE, plan, (), None, 0.0, error=error))
        return [(e["log_level"], formatEvent(e)) for e in list(self.observer)[before:]]

    def test_a_line_when_it_begins_and_one_when_it_ends(self) -> None:
        """A claim is named with its reason when it is new, and once more when it is free."""
        begins = (LogLevel.warn, "left out: podCIDR 10.244.2.0/24 of n1: n2 holds it")
        self.assertEqual(self.said(ONE), [begins])
        self.assertEqual(self.said(ONE), [])
        self.assertEqual([text[:13] for _, text in self.said(ONE, TWO)], ["left out: key"])
        ends = (LogLevel.info, "no longer left out: podCIDR 10.244.2.0/24 of n1: n2 holds it")
        self.assertEqual(self.said(TWO), [ends])

    def test_routes(self) -> None:
        """A foreign route that takes our traffic is named too."""
        ((level, line),) = self.said(routes=(ROUTE,))
        self.assertEqual(level, LogLevel.warn)
        self.assertIn("10.244.3.0/25 dev eth0, which takes traffic of n3", line)
        self.assertEqual(self.said(routes=(ROUTE,)), [])
        self.assertEqual(len(self.said()), 1)

    def test_passes_that_could_not_look(self) -> None:
        """Where a pass was kept from judging claims, none of them is said to be free."""
        self.said(ONE)
        missing = State(StateName.NODE_MISSING, "there is none")
        self.assertEqual(self.said(state=missing), [])
        self.assertEqual(self.said(error="the tunnel hangs"), [])
        self.assertEqual(self.said(inventory=None), [])
        self.assertEqual(self.said(ONE), [])

    def test_many(self) -> None:
        """However many come at once, the log gets some lines and their number."""
        many = [Quarantine(f"n{n}", Claim.KEY, "A" * 100_000, "no key") for n in range(5_000)]
        lines = [text for _, text in self.said(*many)]
        self.assertEqual(len(lines), NAMED + 1)
        self.assertIn(f"and {5_000 - NAMED:,} more", lines[-1])
        self.assertLess(max(map(len, lines)), 300)
