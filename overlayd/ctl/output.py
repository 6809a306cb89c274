"""Writing to the standard streams, whatever they are."""

import json
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from overlayd.ctl.table import table
from overlayd.model.text import printable


def prepare() -> None:
    """Let no character and no closed stream end in a traceback."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for the rest of the process
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def end(message: str, code: int) -> NoReturn:
    """Say why in one line on standard error, and end."""
    if sys.stderr is not None:
        sys.stderr.write(f"overlayctl: {printable(message)}\n")
    raise SystemExit(code)


def write(text: str) -> None:
    """Write `text` to standard output, all of it, now; end where it is not taken."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer would be tried again at exit, and fail with a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        end(f"cannot write the output: {error.strerror}", 1)


def write_lines(lines: Sequence[str]) -> None:
    write("".join(f"{line}\n" for line in lines))


def write_json(document: Any) -> None:
    write(json.dumps(document, indent=2) + "\n")


def write_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    write(table(head, rows, sys.stdout.isatty()))
