"""Waiting for an outcome, with a limit that is not a claim about speed."""

import os
import time
from collections.abc import Callable, Collection
from typing import TypeVar

SLOWER = "OVERLAYD_LAB_SLOWER"
"""The variable that says how many times as long a test has to be patient on a slow machine.

Whoever runs the tests there sets it; what the daemon promises is the same on each machine.
"""


def patience(seconds: float) -> float:
    """How long to wait here for what takes at most so many seconds on an ordinary machine."""
    return seconds * float(os.environ.get(SLOWER, "1"))


REPAIR = 1.0 + patience(10.0)
"""Seconds until a device, address, route or rule is repaired: the kernel announces those."""

REPAIR_UNANNOUNCED = 15.0 + patience(10.0)
"""Seconds until a peer or a key is repaired."""

CLUSTER = patience(10.0)
"""Seconds until what the cluster changes is in the devices."""

SERVER_BACK = patience(45.0)
"""Seconds until it is, after an API server that was away answers again."""

FORMING = patience(30.0)
"""Seconds until daemons that were just started have done their first pass."""

_INTERVAL = patience(0.05)

Value = TypeVar("Value")


def eventually(limit: float, what: str, probe: Callable[[], Value]) -> Value:
    """Ask until the answer is true in Python's sense; that answer.

    The last question is asked after the limit: one that takes long costs nobody his time.

    :raises AssertionError: it was not within `limit` seconds; names `what` and the last answer.
    """
    started = time.monotonic()
    while True:
        late = time.monotonic() - started > limit
        answer = probe()
        if answer:
            return answer
        if late:
            raise AssertionError(f"not within {limit:g} s: {what} (last answer: {answer!r})")
        time.sleep(_INTERVAL)


def eventually_none(limit: float, what: str, probe: Callable[[], Collection[str]]) -> None:
    """Ask for what is wrong until the answer is nothing.

    :raises AssertionError: something still was after `limit` seconds; names `what`, and that.
    """
    left: Collection[str] = ()

    def nothing() -> bool:
        nonlocal left
        left = probe()
        return not left

    try:
        eventually(limit, what, nothing)
    except AssertionError:
        raise AssertionError(f"not within {limit:g} s: {what} ({', '.join(left)})") from None
