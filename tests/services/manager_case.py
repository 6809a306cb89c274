"""A peer manager whose passes a test finishes, and what came of them."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.changes import BringUp, Outcome
from overlayd.model.node import Inventory, Node
from overlayd.model.prefix_index import PrefixIndex
from overlayd.passes import PassResult, Work
from overlayd.plan.result import Memory, Plan
from overlayd.plan.standing import Standing
from overlayd.services.manager import PeerManager
from tests.bare_machine import BARE


def result(
    *outcomes: Outcome,
    seconds: float = 0.0,
    left: Inventory | None = None,
    error: str | None = None,
) -> PassResult:
    """A pass that made these changes. `left` is what it left the machine at, known to the next."""
    plan = Plan(changes=tuple(o.change for o in outcomes), memory=Memory())
    standing = None if left is None else Standing(left, BARE, PrefixIndex(), plan)
    return PassResult(None, BARE, plan, outcomes, None, seconds, standing, error)


def inventory(*names: str) -> Inventory:
    nodes = {name: Node(name) for name in names}
    return Inventory(nodes=nodes, changed=frozenset(names), resource_version="1")


MADE = Outcome(BringUp("wg0", "it was down"))
FAILED = Outcome(BringUp("wg0", "it was down"), "no such device")


class ManagerCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.calls: list[Work] = []
        self.previews: list[Work] = []
        self.running: list[Deferred[Any]] = []
        self.manager = PeerManager(
            self.clock, lambda: 1000.0, self.thread, self.run_pass, lambda n: 20.0 * (n + 1)
        )

    def thread(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Deferred[Any]:
        function(*args, **kwargs)
        self.running.append(Deferred())
        return self.running[-1]

    def run_pass(self, work: Work) -> PassResult:
        self.calls.append(work)
        return result()

    def preview(self, work: Work) -> Plan:
        self.previews.append(work)
        return result().plan

    def finish(self, outcome: PassResult | Exception | None = None) -> None:
        running = self.running.pop()
        if isinstance(outcome, Exception):
            running.errback(outcome)
        else:
            running.callback(outcome or result())

    def start(self) -> None:
        self.manager.startService()
        self.finish()
