"""The commands about passes: run one, see one coming, let it go on, look back."""

import click

from overlayd.control.client import Document
from overlayd.ctl import render_passes as render
from overlayd.ctl.asking import Exit, asking
from overlayd.ctl.options import output, timeout
from overlayd.ctl.output import write_json, write_lines


@click.command()
@output
@timeout(120)
@click.pass_obj
def resync(control: str, output: str, timeout: int) -> None:
    """Read and repair everything now; show what changed."""
    with asking(control, timeout) as daemon:
        daemon.status()
        report = daemon.resync()
        report["changes"] = daemon.changes(report["number"]) if report["changeCount"] else []
    if output == "json":
        write_json(report)
    else:
        write_lines([*render.pass_lines(report)])
    _end_if_failed(report)


@click.command()
@output
@timeout(120)
@click.pass_obj
def confirm(control: str, output: str, timeout: int) -> None:
    """Let the peers that are held go now.

    Those are held whose nodes went when so many did that the cluster may be wrong about it; the
    status lists them. While our own Node is missing none goes, and nothing is confirmed.
    """
    report: Document | None = None
    with asking(control, timeout) as daemon:
        held = daemon.items("held") if daemon.status()["counts"]["held"] else []
        if held:
            report = daemon.confirm()
            report["changes"] = daemon.changes(report["number"]) if report["changeCount"] else []
    if output == "json":
        write_json({"confirmed": held, "pass": report})
    elif report is None:
        write_lines(["nothing is held"])
    else:
        write_lines([render.confirmed_line(held), *render.pass_lines(report)])
    if report is not None:
        _end_if_failed(report)


@click.command()
@output
@timeout(120)
@click.pass_obj
def plan(control: str, output: str, timeout: int) -> None:
    """Show what a pass would do now, and why, without doing it.

    The exit code is 0 whether there is anything to do or not.
    """
    with asking(control, timeout) as daemon:
        daemon.status()
        document = daemon.plan()
        for name, count in document["counts"].items():
            document[name] = daemon.planned(name) if count else []
    if output == "json":
        write_json(document)
    else:
        write_lines([*render.plan_lines(document)])


@click.command()
@click.option(
    "--last", type=click.IntRange(1), metavar="N", help="Only the last N of them.  [default: all]"
)
@output
@timeout(10)
@click.pass_obj
def history(control: str, last: int | None, output: str, timeout: int) -> None:
    """Show the last 100 passes that changed something or failed; the newest comes last.

    Of a pass with very many changes some are kept. One that did the same as a pass before it is
    counted there.
    """
    with asking(control, timeout) as daemon:
        daemon.status()
        passes = daemon.history()
        if last is not None:
            passes = passes[-last:]
        for past in passes:
            past["changes"] = daemon.past_changes(past["number"]) if past["changesKept"] else []
    if output == "json":
        write_json(passes)
    elif passes:
        write_lines([line for past in passes for line in render.past_lines(past)])
    else:
        write_lines(["no pass has changed anything since overlayd started"])


def _end_if_failed(report: Document) -> None:
    if report["failureCount"] or report["error"]:
        raise SystemExit(Exit.PASS_FAILED)
