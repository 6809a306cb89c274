"""`overlayctl`: ask the daemon of this node what it does and why."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

import click

import overlayd
from overlayd.control.client import (
    ClientError,
    Daemon,
    Document,
    NoAnswer,
    NotPermitted,
    NotRunning,
)
from overlayd.ctl import render
from overlayd.ctl.output import end, prepare, write_json, write_lines, write_table
from overlayd.ctl.words import counted
from overlayd.model.places import DEFAULT_CONTROL

LISTS = ("quarantines", "held", "notAnnounced", "notCarried", "foreignRoutes", "repairs")


class Exit(IntEnum):
    """The exit codes, which scripts may rely on. 2 is click's own, for a wrong command line."""

    ERROR = 1
    NOT_RUNNING = 3
    NOT_PERMITTED = 4
    NOT_READY = 5
    PASS_FAILED = 6
    NO_ANSWER = 7


EXIT_CODES = """\b
Exit codes:
  0    done
  1    another error
  2    wrong command line
  3    overlayd is not running
  4    no permission to open the control socket
  5    status --ready: not ready
  6    resync: the pass failed, in part or as a whole
  7    overlayd did not answer in time
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


@click.group(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--control",
    envvar="OVERLAYD_CONTROL",
    show_envvar=True,
    default=DEFAULT_CONTROL,
    show_default=True,
    metavar="PATH",
    help="Control socket of overlayd.",
)
@click.version_option(overlayd.__version__, prog_name="overlayctl")
@click.pass_context
def overlayctl(context: click.Context, control: str) -> None:
    """Ask the overlayd of this node what it does and why."""
    prepare()
    context.obj = control


@contextmanager
def _asking(control: str, timeout: int) -> Iterator[Daemon]:
    """A connection to the daemon; what goes wrong ends with one line and its exit code."""
    try:
        with Daemon(control, timeout) as daemon:
            yield daemon
    except ClientError as error:
        end(str(error), _EXIT_OF.get(type(error), Exit.ERROR))


@overlayctl.command()
@click.option(
    "--ready", is_flag=True, help="Only tell whether this node is ready (exit code 5: no)."
)
@output
@timeout(10)
@click.pass_obj
def status(control: str, ready: bool, output: str, timeout: int) -> None:
    """Show the state of this node.

    Device, peers, inventory, the last pass and what it did, what was left out and why.
    """
    with _asking(control, timeout) as daemon:
        document = daemon.status()
        if not ready:
            _add_lists(daemon, document, None if output == "json" else render.SHOWN)
    if ready:
        _show_readiness(document, output)
    elif output == "json":
        write_json(document)
    else:
        _show_status(document)


def _add_lists(daemon: Daemon, document: Document, at_most: int | None) -> None:
    for name in LISTS:
        document[name] = daemon.items(name, at_most) if document["counts"][name] else []
    report = document["lastPass"]
    if report is not None:
        number = report["number"]
        report["changes"] = daemon.changes(number, at_most) if report["changeCount"] else []


def _show_readiness(document: Document, output: str) -> None:
    if output == "json":
        write_json({name: document[name] for name in ("ready", "state", "message")})
    else:
        write_lines([render.readiness_line(document)])
    if not document["ready"]:
        raise SystemExit(Exit.NOT_READY)


def _show_status(document: Document) -> None:
    write_lines([*render.status_lines(document)])
    count = document["counts"]["quarantines"]
    if count:
        shown = document["quarantines"]
        more = f", the first {len(shown)} of them" if len(shown) < count else ""
        write_lines(["", f"{counted(count, 'claim')} left out{more}:"])
        write_table(render.QUARANTINES_HEAD, render.quarantine_rows(shown))
        if more:
            write_lines(["overlayctl quarantines lists all"])


@overlayctl.command()
@output
@timeout(10)
@click.pass_obj
def peers(control: str, output: str, timeout: int) -> None:
    """List the peers and the nodes behind them."""
    with _asking(control, timeout) as daemon:
        daemon.status()
        documents = daemon.peers()
    if output == "json":
        write_json(documents)
    else:
        write_table(render.PEERS_HEAD, render.peer_rows(documents, time.time()))


@overlayctl.command()
@output
@timeout(10)
@click.pass_obj
def quarantines(control: str, output: str, timeout: int) -> None:
    """List the claims that are left out, each with its reason."""
    with _asking(control, timeout) as daemon:
        daemon.status()
        documents = daemon.items("quarantines")
    if output == "json":
        write_json(documents)
    else:
        write_table(render.QUARANTINES_HEAD, render.quarantine_rows(documents))


@overlayctl.command()
@output
@timeout(120)
@click.pass_obj
def resync(control: str, output: str, timeout: int) -> None:
    """Read and repair everything now; show what changed."""
    with _asking(control, timeout) as daemon:
        daemon.status()
        report = daemon.resync()
        report["changes"] = daemon.changes(report["number"]) if report["changeCount"] else []
    if output == "json":
        write_json(report)
    else:
        write_lines([f"Pass {render.pass_summary(report)}", *render.change_lines(report)])
    if report["failureCount"] or report["error"]:
        raise SystemExit(Exit.PASS_FAILED)
