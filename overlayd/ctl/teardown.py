"""`overlayctl teardown`: through the daemon, or without one by our marks on the machine."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from overlayd.control.client import Document
from overlayd.ctl import render_teardown as render
from overlayd.ctl.asking import Exit, asking, output, timeout
from overlayd.ctl.output import end, write_json, write_lines

OR_ELSE = "; or take down what it left with --offline"


@click.command()
@click.option(
    "--force",
    is_flag=True,
    help="Go on where the API server is away and our annotations stay.",
)
@click.option(
    "--offline",
    is_flag=True,
    help="Without a daemon: remove what carries our marks; annotations stay.",
)
@click.option(
    "--wg-dev",
    envvar="OVERLAYD_WG_DEV",
    show_envvar=True,
    default="wg0",
    show_default=True,
    metavar="NAME",
    help="With --offline: the name of the WireGuard device.",
)
@output
@timeout(120)
@click.pass_obj
def teardown(
    control: str, force: bool, offline: bool, wg_dev: str, output: str, timeout: int
) -> None:
    """Take this node out of the mesh and remove all that is ours on it, at once and unasked.

    Our annotations go first, so that the other nodes forget this one; then peers, routes, the
    device (with its wireguard-go), and the rules last. From then on traffic for pods on other nodes
    is neither encrypted nor refused. net.ipv4.ip_forward stays as it is. The daemon keeps out
    until it is restarted. Run it again after a failure: it goes on.
    """
    if offline:
        with _no_daemon(control):
            document = _take_down(wg_dev)
        node = os.environ.get("OVERLAYD_NODE_NAME") or "NAME"
    else:
        with asking(control, timeout, OR_ELSE) as daemon:
            node = daemon.status()["node"]
            document = daemon.teardown(force)
            report = document["machine"]
            if report is not None:
                number = report["number"]
                report["changes"] = daemon.changes(number) if report["changeCount"] else []
    _show(document, node, output, offline)


def _show(document: Document, node: str, output: str, offline: bool) -> None:
    report = document["machine"]
    if report is None:
        why = document["notWithdrawn"]
        end(f"nothing was touched: {why}; --force goes on all the same", Exit.NOT_WITHDRAWN)
    if output == "json":
        write_json({"node": node, **document})
    else:
        write_lines([*render.teardown_lines(document, node, offline)])
    if report["failureCount"] or report["error"]:
        raise SystemExit(Exit.PASS_FAILED)


@contextmanager
def _no_daemon(control: str) -> Iterator[None]:
    """Hold the daemon's lock, so that none starts meanwhile."""
    from overlayd.control.socket import keep_daemon_out
    from overlayd.model.errors import ControlError

    try:
        lock = keep_daemon_out(control)
    except ControlError as error:
        end(str(error), Exit.ERROR)
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


def _take_down(wg_dev: str) -> Document:
    """Do the machine's part here. What it needs costs more than all the rest of overlayctl."""
    from overlayd.control.encoding import change_document, teardown_document
    from overlayd.linux.network import Network
    from overlayd.model.errors import NetworkError, SettingsError
    from overlayd.model.settings import TunnelKind, check_link_name
    from overlayd.model.status import PassReport
    from overlayd.model.teardown import TeardownReport, Withdrawal
    from overlayd.model.text import rfc3339
    from overlayd.teardown import take_down
    from overlayd.tunnel.chosen import ChosenTunnel

    began, started = rfc3339(time.time()), time.monotonic()
    try:
        check_link_name(wg_dev)
        # Whichever is there; without a link, only a process can be there still.
        tunnel = ChosenTunnel(wg_dev, TunnelKind.USERSPACE)
        done = take_down(Network(), tunnel, wg_dev, {})
    except (SettingsError, NetworkError) as error:
        end(str(error), Exit.ERROR)
    report = TeardownReport(
        withdrawal=Withdrawal(error="without a daemon nobody asks the API server"),
        machine=PassReport(
            number=1,
            why="teardown --offline",
            began=began,
            duration=time.monotonic() - started,
            changes=done.changes,
            error=done.error,
        ),
        foreign=done.foreign,
        forwarding=done.forwarding,
    )
    document = teardown_document(report)
    document["machine"]["changes"] = [change_document(change) for change in done.changes]
    return document
