"""A throw-away QEMU guest on Debian's cloud kernel, for what the running kernel cannot do.

    python -m lab.guest [--memory 1G] [--timeout SECONDS] [--share FOLDER ...] -- COMMAND...

The command runs as root, in the same folder as here and on the same files: the machine's root is
the guest's, and what the guest writes there is gone with it. The checkout, and the folders that are
shared, are written through. Processors are emulated, so anything takes 10 to 20 times as long.
"""

from lab.guest.needs import lacks
from lab.guest.run import LOST, TIMED_OUT, run

__all__ = ["LOST", "TIMED_OUT", "lacks", "run"]
