"""When the whole machine is read again. Times are those of a monotonic clock, in seconds."""

from overlayd.passes import PassResult, Reads, Work

SHORTEST_PERIOD = 2.0  # seconds between two readings that nobody asked for
LONGEST_PERIOD = 15.0  # within which a peer or key that someone changed is repaired
SHARE = 0.01  # of one core that readings may take
WHOLE_PERIOD = 600.0  # seconds after which everything is planned anew, whatever changed


class Readings:
    """Remembers when the machine was read, and what that cost, the tunnel's part included."""

    def __init__(self) -> None:
        self._at = 0.0
        self._whole_at: float | None = None
        self._cost = 0.0
        self.tunnel_is_silent = False  # it could not be read when it was last tried

    def took(self, work: Work, result: PassResult) -> None:
        if work.standing is None:
            self._whole_at = work.now.monotonic
        if work.standing is None or work.reads is Reads.EVERYTHING:
            self._at, self._cost = work.now.monotonic, result.seconds
            self.tunnel_is_silent = result.error is not None
        elif result.error is not None:
            self.tunnel_is_silent = True

    def due_in(self, now: float) -> float:
        """Seconds until the next reading: the more it costs the later, up to a limit."""
        period = min(LONGEST_PERIOD, max(SHORTEST_PERIOD, self._cost / SHARE))
        return max(0.0, self._at + period - now)

    def whole_is_due(self, now: float) -> bool:
        return self._whole_at is not None and now - self._whole_at >= WHOLE_PERIOD
