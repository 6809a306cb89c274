"""Runs the tiers of tests, one after the other, and ends with one line of counts.

    python -m tests.run [--tier NAME ...] [--require NAME ...]

A tier that cannot run here says in one line what is missing and how to get it. One that is
required and cannot run counts as a failure. The exit status follows the counts.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from tests.tiers import TIERS, Tier
from tests.trials import Counts


def run(tiers: list[Tier], required: set[str]) -> Counts:
    total, remarks = Counts(), []
    for tier in tiers:
        print(f"\n=== tier {tier.name}", flush=True)
        missing = tier.missing()
        if missing is None:
            began = time.monotonic()
            counts = tier.run()
            remarks.append(f"tier {tier.name}: {counts} in {time.monotonic() - began:.0f} s")
        elif tier.name in required:
            counts = Counts(failed=1)
            remarks.append(f"tier {tier.name}: FAILED, it is required and cannot run: {missing}")
        else:
            counts = Counts(skipped=1)
            remarks.append(f"tier {tier.name}: SKIPPED: {missing}")
        total += counts
    print("\n" + "\n".join(remarks))
    return total


def main() -> int:
    names = [tier.name for tier in TIERS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tier", action="append", choices=names, help="run this tier only")
    parser.add_argument("--require", action="append", choices=names, default=[])
    arguments = parser.parse_args()
    chosen = [tier for tier in TIERS if tier.name in (arguments.tier or names)]
    total = run(chosen, set(arguments.require))
    print(total, flush=True)
    if counts_file := os.environ.get("OVERLAYD_COUNTS"):
        Path(counts_file).write_text(f"{total}\n")
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main())
