"""How the node watch goes on: after each attempt, what the next one is and how soon.

One attempt is a list, a probe or a watch. A watch is resumed wherever it can be; a list costs the
API server megabytes for each node of the cluster and is made only where nothing else is right.
"""

import enum
import re
from collections.abc import Callable

from attrs import evolve, frozen

CALM = 30.0
"""Seconds that an attempt must last to be no part of a series of failures: the longest back-off."""

STREAMS = 2
"""Streamed lists in a row that do not come to their end before lists are read in pages for good:
what stands between us and the server may hold a stream back for ever."""

STRANGE = (401, 403)
"""What a server answers to those it does not know: its store may be a new one, where they are not
known yet, and where a watch from a version of the old one would be silent for long."""

LONGEST_RETRY_AFTER = 300.0
"""Seconds. A server that asks for more is asked again earlier: nobody means an hour."""

_DECIMAL = re.compile(r"[0-9]{1,30}", re.ASCII)


class Step(enum.Enum):
    STREAM = "stream"  # a list in one request, whose answer goes on as the watch
    LIST = "list"  # in pages
    PROBE = "probe"  # a consistent list of one, for its resourceVersion
    WATCH = "watch"


@frozen
class Attempt:
    """What to ask the API server for.

    For either kind of list `version` is the one that it must not be older than, None for a
    consistent list. For a watch it is the one from which it goes on.
    """

    step: Step
    version: str | None = None


class How(enum.Enum):
    """How an attempt ended."""

    LISTED = "listed"  # complete
    PROBED = "probed"
    ENDED = "ended"  # the watch, cleanly
    BROKE_OFF = "broke off"  # reset, or silent for longer than a healthy watch can be
    NO_ANSWER = "no answer"  # or one that cannot be read
    REFUSED = "refused"  # by a status or an ERROR event other than the next two
    EXPIRED = "expired"  # 410: the version, or a page's token, is no longer in the history
    TOO_LARGE = "too large"  # 504: our version is one that the server has not reached
    NOT_STREAMED = "not streamed"  # the server knows no streamed lists
    UNFINISHED = "unfinished"  # a streamed list ended, however, before its end
    NO_EVENT = "no event"  # a whole line that is no watch event
    WENT_BACK = "went back"  # a running watch told a version below one that it had told


@frozen
class Ending:
    """How an attempt ended, and what it brought.

    `version` is that of the list, the probe, or the last whole event of the watch; None where the
    attempt came to none. `moved` tells whether a watch brought an event or a bookmark. `reason` is
    for people, with the server's words escaped.
    """

    how: How
    version: str | None = None
    moved: bool = False
    status: int = 0
    retry_after: float | None = None
    reason: str = ""
    skipped: int = 0  # entries of a list that are no Node

    @property
    def good(self) -> bool:
        """Whether it ended as it should."""
        return self.how in (How.LISTED, How.PROBED, How.ENDED)


@frozen
class Cursor:
    """Where the watch stands between two attempts.

    `version` is the last one seen, None where none is worth anything: before the first list, and in
    a history that is not ours. `must_list`: the watch cannot go on from it. `suspicious`: the
    history may be another one now, and a probe comes first. `failures` counts those in a row.
    `streams` counts how many more streamed lists may fail to come to their end; 0: no more of them.
    """

    version: str | None = None
    must_list: bool = False
    suspicious: bool = False
    failures: int = 0
    streams: int = STREAMS

    @property
    def attempt(self) -> Attempt:
        lists = Step.STREAM if self.streams else Step.LIST
        if self.version is None:
            return Attempt(lists)
        if self.suspicious:
            return Attempt(Step.PROBE)
        return Attempt(lists if self.must_list else Step.WATCH, self.version)


@frozen
class Delay:
    """How long to wait: the back-off of attempt `number` (None: not at all), or `at_least`."""

    number: int | None = None
    at_least: float = 0.0  # seconds, as asked for by Retry-After

    def seconds(self, backoff: Callable[[int], float]) -> float:
        if self.number is None:
            return 0.0
        return max(backoff(self.number), self.at_least)


AT_ONCE = Delay()


def after(cursor: Cursor, ending: Ending, lasted: float) -> tuple[Cursor, Delay]:
    """Where the watch stands after an attempt of `lasted` seconds, and how long to wait then."""
    turned = _turned(cursor, ending)
    if ending.how in (How.LISTED, How.PROBED, How.NOT_STREAMED):
        return turned, AT_ONCE
    resumes = turned.attempt.step in (Step.PROBE, Step.WATCH)  # no list is so cheap as that
    fresh = lasted >= CALM or (ending.moved and resumes)
    number = 0 if fresh else cursor.failures
    wish = min(ending.retry_after or 0.0, LONGEST_RETRY_AFTER)
    return evolve(turned, failures=number + 1), Delay(number, wish)


def is_below(version: str, ours: str) -> bool:
    """Whether a version is older than ours; False where one of them is no number."""
    if not (_DECIMAL.fullmatch(version) and _DECIMAL.fullmatch(ours)):
        return False
    return int(version) < int(ours)


def _turned(cursor: Cursor, ending: Ending) -> Cursor:
    """The cursor as the ending leaves it; `failures` is not looked at."""
    seen = ending.version or cursor.version
    match ending.how:
        case How.LISTED:
            streams = STREAMS if cursor.streams else 0
            return evolve(cursor, version=seen, must_list=False, suspicious=False, streams=streams)
        case How.NOT_STREAMED:
            return evolve(cursor, streams=0)
        case How.UNFINISHED:
            return evolve(cursor, streams=max(cursor.streams - 1, 0))
        case How.PROBED if _another_history(cursor, ending):
            return evolve(cursor, version=None, must_list=False, suspicious=False)
        case How.PROBED:
            return evolve(cursor, suspicious=False)
        case How.ENDED | How.BROKE_OFF:
            return evolve(cursor, version=seen, suspicious=not ending.moved)
        case How.NO_ANSWER:
            return evolve(cursor, suspicious=True)
        case How.REFUSED:
            suspicious = cursor.suspicious or ending.status in STRANGE or ending.status >= 500
            return evolve(cursor, version=seen, suspicious=suspicious)
        case How.EXPIRED | How.NO_EVENT:
            return evolve(cursor, version=seen, must_list=True)
        case How.TOO_LARGE | How.WENT_BACK:
            return evolve(cursor, version=None, must_list=False, suspicious=False)


def _another_history(cursor: Cursor, ending: Ending) -> bool:
    """A consistent reading is never older than what was seen before it."""
    if ending.version is None or cursor.version is None:
        return False
    return is_below(ending.version, cursor.version)
