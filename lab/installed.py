"""Where overlayd and its commands are installed that the lab runs."""

import subprocess
import sys
from functools import cache
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
"""Where the lab itself is, which is not installed."""


def command(name: str) -> str:
    """The command that was installed with the Python that runs this."""
    return str(Path(sys.executable).with_name(name))


@cache
def folder() -> Path:
    """The folder that overlayd is imported from: twistd finds plugins in folders that Python names.

    An editable installation is in none of them.
    """
    program = "import overlayd; print(overlayd.__file__)"
    done = subprocess.run([sys.executable, "-c", program], cwd="/", check=True, capture_output=True)
    return Path(done.stdout.decode().strip()).parent.parent
