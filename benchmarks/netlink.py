"""Who writes links, addresses, routes or rules here: the kernel tells everybody."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

_BEGINS = 0.3  # seconds until `ip monitor` listens


@contextmanager
def announcements() -> Iterator[list[str]]:
    """Collect what the kernel announces in the block; it is in the list afterwards."""
    heard: list[str] = []
    command = ["ip", "-o", "monitor", "link", "address", "route", "rule"]
    with tempfile.TemporaryFile("w+") as said:
        with subprocess.Popen(command, stdout=said) as monitor:
            time.sleep(_BEGINS)
            try:
                yield heard
            finally:
                monitor.terminate()
        said.seek(0)
        heard += said.read().splitlines()
