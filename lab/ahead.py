"""As a program: run a script of Python on a wall clock that is ahead of the machine's.

    python lab/ahead.py SECONDS SCRIPT [ARGUMENT...]

What the machine itself tells of times, such as those of handshakes, is old for it.
"""

import os
import runpy
import sys
import time


def main() -> None:
    machine, ahead = time.time, float(sys.argv[1])
    time.time = lambda: machine() + ahead
    if sys.path[0] == os.path.dirname(__file__):  # it was put there for this program
        del sys.path[0]
    del sys.argv[:2]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
