"""`overlayctl`: ask the daemon of this node what it does and why."""

import time

import click

import overlayd
from overlayd.control.client import Daemon, Document
from overlayd.ctl import passes, readiness, render
from overlayd.ctl.asking import CONTROL_VARIABLE, EXIT_CODES, STATUS_TIMEOUT, asking
from overlayd.ctl.options import output, timeout
from overlayd.ctl.output import prepare, write_json, write_lines, write_table
from overlayd.ctl.teardown import teardown
from overlayd.ctl.words import counted
from overlayd.model.places import DEFAULT_CONTROL

LISTS = (
    *("quarantines", "held", "notAnnounced", "notCarried"),
    *("foreignRoutes", "fights", "repairs"),
)


@click.group(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--control",
    envvar=CONTROL_VARIABLE,
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


@overlayctl.command()
@click.option(
    "--ready", is_flag=True, help="Only tell whether this node is ready (exit code 5: no)."
)
@output
@timeout(STATUS_TIMEOUT)
@click.pass_obj
def status(control: str, ready: bool, output: str, timeout: int) -> None:
    """Show the state of this node.

    Device, peers, inventory, the last pass and what it did, what was left out and why.
    """
    if ready:
        readiness.tell(control, timeout, output)
        return
    with asking(control, timeout) as daemon:
        document = daemon.status()
        _add_lists(daemon, document, None if output == "json" else render.SHOWN)
    if output == "json":
        write_json(document)
    else:
        _show_status(document)


def _add_lists(daemon: Daemon, document: Document, at_most: int | None) -> None:
    for name in LISTS:
        # The newest repair is the last of them, and there are never many.
        most = None if name == "repairs" else at_most
        document[name] = daemon.items(name, most) if document["counts"].get(name) else []
    report = document["lastPass"]
    if report is not None:
        number = report["number"]
        report["changes"] = daemon.changes(number, at_most) if report["changeCount"] else []


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
    with asking(control, timeout) as daemon:
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
    with asking(control, timeout) as daemon:
        daemon.status()
        documents = daemon.items("quarantines")
    if output == "json":
        write_json(documents)
    else:
        write_table(render.QUARANTINES_HEAD, render.quarantine_rows(documents))


for command in (passes.resync, passes.plan, passes.confirm, passes.history, teardown):
    overlayctl.add_command(command)
