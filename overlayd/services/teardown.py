"""Taking this node out of the mesh on request, and keeping out until the daemon is restarted."""

from collections.abc import Callable, Mapping, Sequence

from attrs import evolve
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredLock, TimeoutError, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from overlayd.kube.own_node import Withdrawn
from overlayd.model.errors import OverlaydError, Stopping, Unreachable
from overlayd.model.keys import PublicKey
from overlayd.model.status import PassReport, State, StateName
from overlayd.model.teardown import TeardownReport, Withdrawal
from overlayd.model.text import rfc3339, shown
from overlayd.services.announcer import Announcer, refusal
from overlayd.services.manager import PeerManager
from overlayd.teardown import TakenDown

WITHDRAWAL_LIMIT = 10.0  # seconds for the API server, and for what it was asked before

WHY = "teardown was asked for"
_RESTART = "restart overlayd to build it again"
_UNDER_WAY = State(StateName.TORN_DOWN, "overlayctl teardown is taking this node down")
_DONE = State(StateName.TORN_DOWN, f"taken down by overlayctl teardown: {_RESTART}")
_IN_PART = State(
    StateName.TORN_DOWN,
    f"taken down in part: run overlayctl teardown again to go on, or {_RESTART}",
)

Withdraw = Callable[[PublicKey | None, float], "Deferred[Withdrawn]"]
TakeDown = Callable[[Mapping[PublicKey, str]], "Deferred[TakenDown]"]


class Teardown:
    """Withdraws our annotations, then removes what is ours on the machine.

    `withdraw` does the first on the API writer's thread until a time by `clock`, `take_down` the
    second on the machine's thread. `others` are the services that make work beside the manager
    and the announcer. `state` is None until this node is taken down.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        manager: PeerManager,
        announcer: Announcer,
        others: Sequence[Service],
        withdraw: Withdraw,
        take_down: TakeDown,
    ) -> None:
        self._clock = clock
        self._manager = manager
        self._announcer = announcer
        self._others = others
        self._withdraw = withdraw
        self._take_down = take_down
        self._one_at_a_time = DeferredLock()
        self._withdrawn = False
        self.state: State | None = None

    def run(self, force: bool) -> "Deferred[TeardownReport]":
        """Take this node down; asked again, go on where it failed.

        Where our annotations cannot be withdrawn, nothing is touched and the daemon works on as
        before, unless `force`.

        :raises Stopping: (asynchronously) the daemon is stopping.
        """
        return self._one_at_a_time.run(lambda: Deferred.fromCoroutine(self._run(force)))

    async def _run(self, force: bool) -> TeardownReport:
        self._check()
        self._announcer.stopService()
        withdrawal = await self._withdrawal()
        self._check()
        if withdrawal.error is not None and not force:
            self._log.warn("no teardown: {error}", error=withdrawal.error)
            if self.state is None:
                self._announcer.startService()
            return TeardownReport(withdrawal=withdrawal)
        await self._keep_out()
        self._announcer.reason = withdrawal.error or "withdrawn by overlayctl teardown"
        return await self._machine_part(withdrawal)

    def _check(self) -> None:
        if self.state is None and not self._manager.running:
            raise Stopping("the daemon is stopping")

    # --- our annotations ---

    async def _withdrawal(self) -> Withdrawal:
        if self._withdrawn:
            return Withdrawal()
        result = self._manager.ledger.result
        key = result.public_key if result is not None else None
        asked = self._withdraw(key, self._clock.seconds() + WITHDRAWAL_LIMIT)
        try:
            done = await asked.addTimeout(WITHDRAWAL_LIMIT, self._clock)
        except TimeoutError:
            return _stay(f"the API server did not answer within {WITHDRAWAL_LIMIT:g} s")
        except Unreachable as error:
            return _stay(f"the API server was not reached: {shown(str(error))}")
        except Exception:
            self._log.failure("withdrawing our annotations failed in a way nobody thought of")
            return _stay("an error in overlayd itself, see its log")
        if done.refusal is not None:
            return _stay(refusal(done.refusal))
        self._withdrawn = True
        self._log.info("withdrew our annotations: {names}", names=", ".join(done.names) or "none")
        return Withdrawal(done.names)

    # --- the machine ---

    async def _keep_out(self) -> None:
        """Stop all that makes work, once what runs is done. The control socket stays open."""
        if self.state is None:
            self._manager.why_stopped = f"this node is taken down: {_RESTART}"
            for service in (self._manager, *self._others):
                await maybeDeferred(service.stopService)
        self.state = _UNDER_WAY

    async def _machine_part(self, withdrawal: Withdrawal) -> TeardownReport:
        began = self._clock.seconds()
        manager, result = self._manager, self._manager.ledger.result
        report = PassReport(
            number=manager.ledger.passes + 1, why=WHY, began=rfc3339(manager.wall()), duration=0.0
        )
        foreign: tuple[str, ...] = ()
        forwarding: bool | None = None
        try:
            done = await self._take_down(result.plan.names if result is not None else {})
        except OverlaydError as error:
            report = evolve(report, error=str(error))
        except Exception as error:
            self._log.failure("the teardown failed in a way nobody thought of")
            report = evolve(report, error=f"an error in overlayd itself: {error!r}")
        else:
            report = evolve(report, changes=done.changes, error=done.error)
            foreign, forwarding = done.foreign, done.forwarding
        report = evolve(report, duration=self._clock.seconds() - began)
        self._note(report)
        return TeardownReport(
            withdrawal=withdrawal, machine=report, foreign=foreign, forwarding=forwarding
        )

    def _note(self, report: PassReport) -> None:
        for change in report.changes:
            if change.error is None:
                self._log.info("{change} ({why})", change=change.text, why=WHY)
            else:
                self._log.error(
                    "could not {change}: {error}", change=change.text, error=change.error
                )
        if report.error is not None:
            self._log.error("the teardown failed: {error}", error=report.error)
        self.state = _IN_PART if report.failed else _DONE
        self._manager.took_down(report)


def _stay(reason: str) -> Withdrawal:
    return Withdrawal(error=f"our annotations are not withdrawn: {reason}")
