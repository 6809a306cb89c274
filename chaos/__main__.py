"""Breaks a mesh of five nodes at random, for minutes, and checks throughout what must hold.

`./demo chaos` installs what it needs and runs it: python -m chaos --seed 7 --minutes 1
"""

import argparse
import os
import sys
from itertools import islice
from random import SystemRandom

from chaos import schedule
from chaos.run import FAULTS, NODES, Run
from lab import private
from lab.show import Show

_PREVIEW = 20  # rounds, about three minutes


def _preview(seed: int) -> int:
    for what in islice(schedule.rounds(seed, FAULTS, NODES), _PREVIEW):
        print(what)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, help="which faults come [default: a random one]")
    parser.add_argument("--minutes", type=float, default=1.0, help="for how long [default: 1]")
    parser.add_argument("--preview", action="store_true", help="print what a seed would do")
    arguments = parser.parse_args()
    seed = SystemRandom().randrange(10**6) if arguments.seed is None else arguments.seed
    if arguments.preview:
        return _preview(seed)
    if not private.inside() and os.geteuid() == 0:
        command = [sys.executable, "-m", "chaos", "--seed", str(seed)]
        return private.run([*command, "--minutes", str(arguments.minutes)], os.environ)
    missing = private.missing()
    if missing:
        sys.exit(f"chaos: {missing}")
    try:
        return 0 if Run(seed, Show()).perform(arguments.minutes * 60) else 1
    except KeyboardInterrupt:
        sys.stdout.write("\nchaos: ended; nothing of it is left\n")  # it ends with this process
        return 130


if __name__ == "__main__":
    sys.exit(main())
