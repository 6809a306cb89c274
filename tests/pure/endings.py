"""The words of tests on what the node watch does after something has ended."""

from overlayd.plan.resume import Attempt, Cursor, Ending, How, Step, after

FOLLOWING = Cursor(version="100")
RESUME = Attempt(Step.WATCH, "100")
RELIST = Attempt(Step.STREAM, "100")
PROBE = Attempt(Step.PROBE)
ANEW = Attempt(Step.STREAM)


def backoff(number: int) -> float:
    """One second, then two, and so on: easy to recognise."""
    return number + 1.0


def attempt_after(ending: Ending, cursor: Cursor = FOLLOWING) -> Attempt:
    return after(cursor, ending, 1.0)[0].attempt


def delay_after(ending: Ending, cursor: Cursor = FOLLOWING, lasted: float = 1.0) -> float:
    return after(cursor, ending, lasted)[1].seconds(backoff)


def moved(how: How, version: str = "100") -> Ending:
    return Ending(how, version=version, moved=True)


def silent(how: How) -> Ending:
    return Ending(how, version="100", moved=False)
