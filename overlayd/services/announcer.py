"""Keeps our annotations on our own Node as they should be."""

from collections.abc import Callable, Mapping

from attrs import evolve, frozen
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from overlayd.kube.transport.api import Answer
from overlayd.model.errors import Unreachable
from overlayd.model.node import Node
from overlayd.model.settings import Settings
from overlayd.model.text import shown
from overlayd.passes import PassResult
from overlayd.plan.announce import (
    Values,
    announcement,
    differences,
    unreachable_for_wg_overlay,
)

ECHO_LIMIT = 30.0  # seconds in which the watch must show what was written, or it is written again
LASTING = 60.0  # seconds after a write in which another value is somebody else's doing
LONGEST_RETRY_AFTER = 300.0  # seconds: a server that asks for more is asked again earlier


@frozen
class _Written:
    """The last write that was accepted: on which Node, over what, what, and when."""

    uid: str
    over: Mapping[str, str] | None  # None once the watch has shown it
    wanted: Values
    at: float


class Announcer(Service):
    """Writes what differs, and only that, whenever our Node is seen to differ.

    `write` patches the annotations on a thread of its own. `retry` gives the seconds before the
    attempt of a number, from 0. What the Node says is compared with every inventory, so a Node
    that is made anew, or annotations that someone else changed, are written again.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        settings: Settings,
        write: Callable[[Values], Deferred[Answer]],
        retry: Callable[[int], float],
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._write = write
        self._retry = retry
        self._node: Node | None = None
        self._wanted: Values = {}
        self._written: _Written | None = None
        self._writing = False
        self._next: IDelayedCall | None = None
        self._attempts = 0
        self._warned = ""
        self.reason = "our Node has not been read yet"
        self.has_announced = False

    @property
    def announced(self) -> bool:
        """Whether our Node was last seen to say what it should."""
        return not self.reason

    @property
    def under_way(self) -> bool:
        """Whether it is only a matter of the next answer or event."""
        return self._node is None or (self._attempts == 0 and bool(self._wanted))

    def after_pass(self, result: PassResult) -> None:
        """Announce what the pass found us to be, on our Node as its inventory shows it."""
        inventory = result.inventory
        node = inventory.nodes.get(self._settings.node_name) if inventory is not None else None
        if node is None:
            if inventory is not None:
                self._node = None
                self._explain("our Node does not exist: the kubelet makes it, or see --node-name")
            return
        own = result.plan.own
        if result.public_key is None or own.overlay_address is None:
            self._cancel()
            self._wanted = {}
            state = result.plan.state
            self._explain(
                f"nothing is announced in the state {state.name.value}"
                if state is not None
                else "the device is not made yet"
            )
            return
        self._warn(unreachable_for_wg_overlay(self._settings, own, node) or "")
        self.follow(node, announcement(self._settings, own, node, result.public_key))

    def follow(self, node: Node, wanted: Values | None) -> None:
        """Take what our Node says and what it should say; None: it must not say anything yet."""
        self._node = node
        if wanted is None:
            self._wanted = {}
            self._explain("our Node has no podCIDRs yet")
            return
        if wanted != self._wanted and self._attempts == 0:
            self._cancel()  # the watch need not show what is out of date
        self._wanted = wanted
        self._compare()

    def startService(self) -> None:
        super().startService()
        self._compare()

    def stopService(self) -> None:
        super().stopService()
        self._cancel()

    def _compare(self) -> None:
        node = self._node
        if node is None or not self._wanted:
            return
        differing = differences(self._wanted, node.annotations)
        if not differing:
            self._settle()
        elif self.running and not self._writing and self._next is None:
            if self._just_wrote(node):
                self._wait_or_fight(node, differing)
            else:
                self._send(node, differing)

    def _settle(self) -> None:
        self._cancel()
        self.has_announced = True
        if self._written is None or self._clock.seconds() - self._written.at > LASTING:
            self._attempts = 0
        else:
            self._written = evolve(self._written, over=None)
        if self.reason:
            self._log.info("our Node says what it should")
            self.reason = ""

    def _just_wrote(self, node: Node) -> bool:
        written = self._written
        return (
            written is not None
            and written.uid == node.uid
            and written.wanted == self._wanted
            and self._clock.seconds() - written.at < LASTING
        )

    def _wait_or_fight(self, node: Node, differing: Values) -> None:
        """What was written just now is not there: not yet, or no longer."""
        assert self._written is not None  # _just_wrote saw it
        if node.annotations == self._written.over:
            self._later(max(0.0, self._written.at + ECHO_LIMIT - self._clock.seconds()))
        else:
            found = {name: node.annotations.get(name) for name in differing}
            self._failed(f"our annotations were overwritten: {_text(found)}", None)

    def _send(self, node: Node, differing: Values) -> None:
        self._writing = True
        if self._attempts == 0:
            self.reason = "our annotations are being written"
        before = _Written(node.uid, dict(node.annotations), self._wanted, self._clock.seconds())
        Deferred.fromCoroutine(self._send_once(differing, before)).addErrback(self._broken)

    async def _send_once(self, differing: Values, before: _Written) -> None:
        try:
            answer = await self._write(differing)
        except Unreachable as error:
            self._writing = False
            self._failed(f"the API server was not reached: {shown(str(error))}", None)
            return
        self._writing = False
        if answer.status == 200:
            self._log.info("wrote our annotations: {values}", values=_text(differing))
            self._written = before
            self._compare()
        else:
            self._failed(refusal(answer), answer.retry_after)

    def _failed(self, reason: str, retry_after: float | None) -> None:
        if self.running:
            self._explain(reason)
            delay = self._retry(self._attempts)
            self._attempts += 1
            if retry_after is not None:
                delay = min(max(delay, retry_after), LONGEST_RETRY_AFTER)
            self._later(delay)

    def _broken(self, failure: Failure) -> None:
        self._log.failure("writing our annotations failed in a way nobody thought of", failure)
        self._writing = False
        self._failed("an error in overlayd itself, see its log", None)

    def _explain(self, reason: str) -> None:
        """One line for each change of state, not for each attempt."""
        if reason != self.reason:
            self._log.info("our Node is not announced: {reason}", reason=reason)
            self.reason = reason

    def _warn(self, reason: str) -> None:
        if reason and reason != self._warned:
            self._log.warn(
                "nodes that still run wg-overlay cannot dial us: {reason}", reason=reason
            )
        self._warned = reason

    def _later(self, delay: float) -> None:
        self._cancel()
        self._next = self._clock.callLater(delay, self._again)

    def _again(self) -> None:
        """Write what still differs, also what somebody else wrote over."""
        self._next = None
        differing = differences(self._wanted, self._node.annotations) if self._node else {}
        if self._node is not None and differing:
            self._send(self._node, differing)

    def _cancel(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None


def _text(values: Values) -> str:
    return ", ".join(
        f"{name} removed" if value is None else f"{name}={shown(value)}"
        for name, value in sorted(values.items())
    )


def refusal(answer: Answer) -> str:
    """What a person can do about a status that is not 200."""
    said = shown(answer.body.decode("utf-8", "replace"))
    match answer.status:
        case 401:
            return "the API server does not accept our credentials (401)"
        case 403:
            return f"we may not patch our Node (403): give us patch on nodes. The server: {said}"
        case 404:
            return "our Node does not exist (404): it is made by the kubelet, or see --node-name"
        case 409:
            return "our Node changed while we wrote (409)"
        case 422:
            return f"the API server refuses our annotations (422). The server: {said}"
        case status:
            return f"the API server answered {status}: {said}"
