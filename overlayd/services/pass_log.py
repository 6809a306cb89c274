"""What the log says of passes: a line for each change, and one for each failure that is new."""

from collections.abc import Set

from twisted.logger import Logger

from overlayd.passes import PassResult


class PassLog:
    """Remembers what it complained of, so that a pass that fails again says nothing again."""

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._complaints: frozenset[tuple[str, str]] = frozenset()

    def could_not_read(self, error: str) -> None:
        complaint = frozenset({("", error)})
        if complaint != self._complaints:
            self._log.error("the pass failed: {error}", error=error)
        self._complaints = complaint

    def broke(self) -> None:
        """Log the exception that is being handled."""
        self._log.failure("the pass failed in a way nobody thought of")

    def changes(self, result: PassResult, fights: Set[str]) -> None:
        """What is being fought over has its own line, once, elsewhere."""
        failures = frozenset((str(o.change), o.error or "") for o in result.failures)
        for outcome in result.outcomes:
            change = outcome.change
            if outcome.error is None:
                if str(change) not in fights:
                    self._log.info("{change} ({why})", change=change, why=change.why)
            elif (str(change), outcome.error) in failures - self._complaints:
                self._log.error(
                    "could not {change} ({why}): {error}",
                    change=change,
                    why=change.why,
                    error=outcome.error,
                )
        if result.error is None:
            self._complaints = failures
        else:
            self.could_not_read(result.error)
