"""What the commands of `overlayctl` share: their options, how they ask, and how they end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

import click

from overlayd.control.client import ClientError, Daemon, NoAnswer, NotPermitted, NotRunning
from overlayd.ctl.output import end


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

output = click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Tables for people or JSON for scripts.",
)


def timeout(seconds: int) -> Callable[[Any], Any]:
    return click.option(
        "--timeout",
        type=click.IntRange(1, 86_400),
        default=seconds,
        show_default=True,
        metavar="SECONDS",
        help="How long overlayd may take to answer.",
    )


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
