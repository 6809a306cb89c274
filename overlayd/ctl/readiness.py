"""`overlayctl status --ready`: whether this node is ready, for people, scripts and probes.

A kubelet runs it every few seconds on each node. Importing click costs more than all the rest of
it, so the command lines that probes have are understood without.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from overlayd.ctl.asking import CONTROL_VARIABLE, LONGEST_TIMEOUT, STATUS_TIMEOUT, Exit, asking
from overlayd.ctl.output import write_json, write_lines
from overlayd.ctl.render import readiness_line
from overlayd.model.places import DEFAULT_CONTROL


class Probe(NamedTuple):
    """What a probe asks with; `timeout` is in seconds."""

    control: str
    timeout: int


def probe(arguments: Sequence[str], environ: Mapping[str, str]) -> Probe | None:
    """Understand `[--control PATH] status --ready [--timeout SECONDS]`, in this order.

    None for any other command line, right or wrong: click judges it.
    """
    match arguments:
        case ["--control", path, "status", "--ready", *rest]:
            control = path
        case ["status", "--ready", *rest]:
            control = environ.get(CONTROL_VARIABLE) or DEFAULT_CONTROL
        case _:
            return None
    match rest:
        case []:
            return Probe(control, STATUS_TIMEOUT)
        case ["--timeout", text] if text.isascii() and text.isdigit() and len(text) <= 5:
            timeout = int(text)
            return Probe(control, timeout) if 1 <= timeout <= LONGEST_TIMEOUT else None
    return None


def tell(control: str, timeout: int, output: str = "table") -> None:
    """Print whether this node is ready; end with the exit code for it."""
    with asking(control, timeout) as daemon:
        document = daemon.status()
    if output == "json":
        write_json({name: document[name] for name in ("ready", "state", "message")})
    else:
        write_lines([readiness_line(document)])
    if not document["ready"]:
        raise SystemExit(Exit.NOT_READY)
