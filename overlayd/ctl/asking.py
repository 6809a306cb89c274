"""How the commands of `overlayctl` ask the daemon, and how they end. A probe needs no more."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from overlayd.control.client import ClientError, Daemon, NoAnswer, NotPermitted, NotRunning
from overlayd.ctl.output import end

CONTROL_VARIABLE = "OVERLAYD_CONTROL"
STATUS_TIMEOUT = 10  # seconds
LONGEST_TIMEOUT = 86_400  # seconds


class Exit(IntEnum):
    """The exit codes, which scripts may rely on. 2 is click's own, for a wrong command line."""

    ERROR = 1
    NOT_RUNNING = 3
    NOT_PERMITTED = 4
    NOT_READY = 5
    PASS_FAILED = 6
    NO_ANSWER = 7
    NOT_WITHDRAWN = 8


EXIT_CODES = """\b
Exit codes:
  0    done
  1    another error
  2    wrong command line
  3    overlayd is not running
  4    no permission to open the control socket
  5    status --ready: not ready
  6    resync, confirm, teardown: it failed, in part or as a whole
  7    overlayd did not answer in time
  8    teardown: refused, for our annotations cannot be withdrawn
  130  interrupted
"""

_EXIT_OF = {
    NotRunning: Exit.NOT_RUNNING,
    NotPermitted: Exit.NOT_PERMITTED,
    NoAnswer: Exit.NO_ANSWER,
}


@contextmanager
def asking(control: str, timeout: int, or_else: str = "") -> Iterator[Daemon]:
    """A connection to the daemon; what goes wrong ends with one line and its exit code.

    `or_else` is what else one can do where no daemon runs.
    """
    try:
        with Daemon(control, timeout) as daemon:
            yield daemon
    except ClientError as error:
        more = or_else if isinstance(error, NotRunning) else ""
        end(f"{error}{more}", _EXIT_OF.get(type(error), Exit.ERROR))
