"""The command line."""

import argparse
import os
import signal
import sys
from pathlib import Path

import lab.guest
from lab.guest.run import Wanted

_CHECKOUT = Path(__file__).resolve().parent.parent.parent


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="lab.guest", description="Run a command as root in a throw-away QEMU guest."
    )
    parser.add_argument("--memory", default="1G", help="the guest's, as QEMU takes it")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds for all of it")
    parser.add_argument(
        "--share",
        action="append",
        default=[],
        type=Path,
        metavar="FOLDER",
        help="a folder that the guest may write, beside the checkout",
    )
    parser.add_argument("command", nargs="+", help="what to run, after --")
    arguments = parser.parse_args()
    if missing := lab.guest.lacks():
        sys.exit(f"lab.guest: {missing}")
    # What ends us ends the guest: as an exception it passes the code that cleans up.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    shares = (_CHECKOUT, *(folder.resolve() for folder in arguments.share))
    try:
        return lab.guest.run(
            Wanted(arguments.command, arguments.memory, arguments.timeout, shares), os.environ
        )
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
