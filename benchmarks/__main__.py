"""Measures what overlayd needs, on clusters of several sizes, and prints tables of Markdown.

`sudo ./benchmark` installs it as an operator does and runs this: python -m benchmarks
"""

import argparse
import importlib.util
import json
import os
import platform
import re
import shlex
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from attrs import asdict

from benchmarks import in_kernel, table
from benchmarks.figures import Figure
from lab import private

SIZES = (100, 1000, 5000)
NODE_SIZE = 10_000


def main() -> None:
    """Measure each size in namespaces of its own, which end with it."""
    arguments = _arguments()
    _refuse()
    command = shlex.join(["./benchmark", *sys.argv[1:]])
    header = f"{_machine()}, {datetime.now(UTC):%Y-%m-%d}, `sudo {command}`"
    print(header, flush=True)
    sizes = sorted(set(arguments.nodes))
    print("the kernel's WireGuard", file=sys.stderr, flush=True)
    of_kernel = in_kernel.measured(sizes)
    runs = {}
    for size in sizes:
        runs[size] = [*_measured(size, arguments.node_size), *of_kernel.figures.get(size, ())]
        print(f"\n### {size:,} Nodes of {arguments.node_size:,} bytes\n")
        print(table.of_one_size(runs[size]), flush=True)
    if len(runs) > 1:
        print("\n### How it grows\n")
        print(table.of_growth(runs))
    if of_kernel.remark:
        print(f"\n{of_kernel.remark}")
    if arguments.json:
        _write(arguments.json, header, runs)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmark", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        *("--nodes", "-n"),
        type=int,
        nargs="+",
        default=SIZES,
        help=f"numbers of Nodes, each measured apart (default: {' '.join(map(str, SIZES))})",
    )
    parser.add_argument(
        "--node-size", type=int, default=NODE_SIZE, help="bytes of JSON of a Node (default: 10000)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    arguments = parser.parse_args()
    if min(arguments.nodes) < 10:
        parser.error("--nodes: at least 10")
    return arguments


def _refuse() -> None:
    """End with one line where the figures would be wrong, or cannot be had."""
    if importlib.util.find_spec("OpenSSL"):
        sys.exit(
            "benchmark: pyOpenSSL is installed here, by the extras for tests, and Twisted imports "
            "what operators do not have (12 MiB, 0.3 s): run ./benchmark, which makes its own "
            "environment"
        )
    missing = private.machine_lacks()
    if missing:
        sys.exit(f"benchmark: {missing}")


def _measured(nodes: int, node_size: int) -> list[Figure]:
    print(f"{nodes:,} Nodes of {node_size:,} bytes", file=sys.stderr, flush=True)
    with tempfile.NamedTemporaryFile("r", suffix=".json") as file:
        module = [sys.executable, "-m", "benchmarks.one_size"]
        status = private.run([*module, str(nodes), str(node_size), file.name], os.environ)
        if status:
            sys.exit(status)
        return [Figure(**figure) for figure in json.loads(file.read())]


def _machine() -> str:
    cpus = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*: (.*)$", cpus, re.MULTILINE)
    name = model[1] if model else platform.machine()
    return f"{os.cpu_count()} cores ({name}), Python {platform.python_version()}"


def _write(file: Path, header: str, runs: dict[int, list[Figure]]) -> None:
    document = {
        "run": header,
        "figures": {size: [asdict(figure) for figure in runs[size]] for size in runs},
    }
    file.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
