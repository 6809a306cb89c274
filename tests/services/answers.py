"""What a daemon answers over the control socket, as far as a test does not choose it."""

from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred

from overlayd.control.responders import Answers
from tests.statuses import ORDINARY


def answers(**chosen: Any) -> Answers:
    """Those of a daemon that is well, never finishes a pass, and has no history."""
    others = Answers(
        status=lambda: ORDINARY,
        peers=tuple,
        resync=Deferred,
        confirm=lambda keys: Deferred(),
        plan=Deferred,
        history=tuple,
        teardown=lambda force: Deferred(),
    )
    return evolve(others, **chosen)
