"""The options that commands of `overlayctl` share."""

from collections.abc import Callable
from typing import Any

import click

from overlayd.ctl.asking import LONGEST_TIMEOUT

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
        type=click.IntRange(1, LONGEST_TIMEOUT),
        default=seconds,
        show_default=True,
        metavar="SECONDS",
        help="How long overlayd may take to answer.",
    )
