"""One round: causes its faults, ends them, waits for the repairs, and sees who lost what."""

import time
from contextlib import AbstractContextManager

from attrs import define

from chaos.fault import Stage
from chaos.health import Health
from chaos.schedule import Deal, Round
from chaos.tally import Tally
from lab.eventually import CLUSTER, REPAIR_UNANNOUNCED, SERVER_BACK, eventually_none
from lab.flow import Flow, Report
from lab.mesh import Member, broken, paths

_INTERVAL = 0.1  # seconds between two looks at what is wrong


@define
class _Running:
    """A fault that was caused. `since` is when its repair could begin, None while it lasts."""

    deal: Deal
    context: AbstractContextManager[None]
    since: float | None = None


class Performance:
    """Rounds on one mesh; `tally` has what came of them."""

    def __init__(self, stage: Stage, tally: Tally) -> None:
        self._stage = stage
        self._members = stage.mesh.members
        self._health = Health(stage.mesh.cluster)
        self._tally = tally

    def perform(self, what: Round) -> None:
        """:raises AssertionError: something did not hold."""
        one, other = (self._members[number] for number in what.bystanders)
        with Flow(one.pod, other.pod) as bystanders:
            victims = self._flows_to_victims(what)
            try:
                bystanders.carry()
                self._break(what)
                self.wait_until_whole(REPAIR_UNANNOUNCED)
                bystanders.carry()
            finally:
                lost = {deal: flow.finish() for deal, flow in victims.items()}
            reports = bystanders.finish()
        for deal, found in lost.items():
            self._tally.harmed(deal, found)
        self._tally.bystanders(reports)
        _nothing_lost(one, other, reports)
        self._nothing_leaked()

    def wait_until_whole(self, limit: float) -> None:
        """Wait until nothing is wrong with any node, and every path works."""
        everyone = tuple(self._members)

        def wrongs() -> list[str]:
            return self._health.read_cluster() + self._wrongs(everyone)

        eventually_none(limit, "nothing is wrong", wrongs)
        eventually_none(limit, "no path is broken", self._stage.mesh.broken_paths)

    def _flows_to_victims(self, what: Round) -> dict[Deal, Flow]:
        """A flow between the nodes that a fault harms, or from a bystander to the one."""
        ends = {deal: (*deal.nodes, what.bystanders[0])[:2] for deal in what.deals if deal.harmed}
        return {
            deal: Flow(self._members[one].pod, self._members[other].pod)
            for deal, (one, other) in ends.items()
        }

    def _break(self, what: Round) -> None:
        """Cause all, end what lasts when its time is over, and return when all is repaired."""
        running = [self._cause(deal) for deal in what.deals]
        began, lasting = time.monotonic(), True
        while running:
            if lasting and time.monotonic() - began >= what.lasts:
                self._end(running, what.of_server)
                lasting = False
            # A server that is broken is not asked: the Nodes stay as they were read last.
            ask = not (lasting and what.of_server)
            running = [one for one in running if not self._over(one, what, ask)]
            time.sleep(_INTERVAL)

    def _cause(self, deal: Deal) -> _Running:
        members = [self._members[number] for number in deal.nodes]
        context = deal.fault.cause(self._stage, *members)
        context.__enter__()
        return _Running(deal, context, None if deal.fault.lasting else time.monotonic())

    def _end(self, running: list[_Running], of_server: bool) -> None:
        """The API server comes back first: what ends other faults may need it."""
        for one in sorted(running, key=lambda r: not r.deal.fault.of_server):
            one.context.__exit__(None, None, None)
            if one.since is None or (of_server and one.deal.fault.told):
                one.since = time.monotonic()

    def _over(self, one: _Running, what: Round, ask: bool) -> bool:
        """Whether it is repaired.

        :raises AssertionError: its time is over, and it is not.
        """
        if one.since is None:
            return False
        looked = time.monotonic()
        wrong = self._health.read_cluster() if ask else []
        wrong = wrong or self._wrongs(one.deal.nodes or tuple(self._members))
        wrong = wrong or self._broken_paths(one.deal, what)
        if not wrong:
            self._tally.repaired(one.deal, looked - one.since)
            return True
        limit = _limit(one.deal, what)
        if looked - one.since > limit:
            raise AssertionError(f"not within {limit:g} s of {one.deal}: {'; '.join(wrong)}")
        return False

    def _wrongs(self, numbers: tuple[int, ...]) -> list[str]:
        members = [self._members[number] for number in numbers]
        ended = [f"{m.name}'s daemon has ended" for m in members if not m.daemon.running]
        return ended or self._health.wrongs(members)

    def _broken_paths(self, deal: Deal, what: Round) -> list[str]:
        """Which paths between its nodes' pods and others do not work now.

        Those to a node that another fault harms have to work once all are repaired.
        """
        others = {n for other in what.deals if other is not deal for n in other.harmed}
        pairs = {
            (min(near, far), max(near, far))
            for near in deal.nodes
            for far in self._members.keys() - others
            if near != far
        }
        ends = [(self._members[one], self._members[other]) for one, other in sorted(pairs)]
        return broken(
            (paths(one, other)[0] for one, other in ends),
            (paths(other, one)[0] for one, other in ends),
        )

    def _nothing_leaked(self) -> None:
        counts = self._stage.mesh.capture.counts()
        if counts.plaintext:
            raise AssertionError(f"{counts.plaintext} plaintext packets: {counts.samples}")
        if counts.missed:
            raise AssertionError(f"{counts.missed} packets escaped the capture")


def _limit(deal: Deal, what: Round) -> float:
    """Seconds: longer where other nodes have to hear of it, and longest from a server just back."""
    limit = deal.fault.limit
    if deal.fault.of_server:
        return limit
    if what.of_server:
        return limit + SERVER_BACK
    return limit + CLUSTER if deal.fault.told else limit


def _nothing_lost(one: Member, other: Member, reports: tuple[Report, Report]) -> None:
    for report in reports:
        if report.lost:
            raise AssertionError(
                f"bystanders {one.name} and {other.name}: {report}, {report.outage:.2f} s at once, "
                f"the first number {report.lost[0]}"
            )
