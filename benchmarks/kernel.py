"""The kernel's WireGuard by overlayd beside wg(8), with the same peers, where the kernel has it.

Its arguments are the file that the figures go to, and the numbers of peers. wg(8) is a process that
is started each time, as overlayd is not: that is in its figures.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from itertools import islice
from pathlib import Path

from attrs import asdict

from benchmarks import passes
from benchmarks.figures import Figure, median
from overlayd.model.changes import EndDevice, GiveKey, GrantPeer, MakeDevice, TunnelChange
from overlayd.model.keys import PublicKey
from overlayd.model.node import Endpoint
from overlayd.tunnel.kernel import KernelTunnel

OURS, THEIRS = "bench0", "bench1"
WHY = "measured"
_LOADS, _READS = 3, 5
_PORT = 51820


def measure(count: int) -> list[Figure]:
    """The figures of one number of peers."""
    peers = _peers(count)
    ours, theirs = _by_overlayd(peers), _by_wg(peers)
    setconf, syncconf, dump = theirs["setconf"], theirs["syncconf"], theirs["dump"]
    return [
        _figure("kernel: all peers loaded", ours["loading"], setconf, "wg setconf", 2),
        _figure("kernel: an unchanged pass", passes.measure(peers), syncconf, "wg syncconf", 5),
        _figure("kernel: the first reading", ours["first"], dump, "wg show dump"),
        _figure("kernel: the device ended", ours["ending"], setconf, "wg setconf"),
    ]


def _by_overlayd(peers: list[GrantPeer]) -> dict[str, float]:
    times: dict[str, list[float]] = {"loading": [], "first": [], "ending": []}
    for _ in range(_LOADS):
        tunnel = KernelTunnel(OURS)
        _done(tunnel, MakeDevice(OURS, WHY), GiveKey(WHY))
        times["loading"].append(_timed(partial(_done, tunnel, *peers)))
        times["first"].append(_timed(tunnel.observe))
        device = tunnel.observe()
        if device is None or len(device.peers) != len(peers):
            raise RuntimeError("the device does not have the peers it was given")
        times["ending"].append(_timed(partial(_done, tunnel, EndDevice(OURS, WHY))))
    return {what: median(found) for what, found in times.items()}


def _by_wg(peers: list[GrantPeer]) -> dict[str, float]:
    times: dict[str, list[float]] = {"setconf": [], "syncconf": [], "dump": []}
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(_configuration(peers))
        file.flush()
        for _ in range(_LOADS):
            tunnel = KernelTunnel(THEIRS)
            _done(tunnel, MakeDevice(THEIRS, WHY))
            times["setconf"].append(_timed(partial(_wg, "setconf", THEIRS, file.name)))
            for _ in range(_READS):
                times["syncconf"].append(_timed(partial(_wg, "syncconf", THEIRS, file.name)))
                times["dump"].append(_timed(partial(_wg, "show", THEIRS, "dump")))
            _done(tunnel, EndDevice(THEIRS, WHY))
    return {what: median(found) for what, found in times.items()}


def _done(tunnel: KernelTunnel, *changes: TunnelChange) -> None:
    errors = [outcome.error for outcome in tunnel.apply(changes) if outcome.error]
    if errors:
        raise RuntimeError(f"{len(errors)} changes failed: {errors[0]}")


def _wg(*words: str) -> None:
    subprocess.run(["wg", *words], check=True, stdout=subprocess.DEVNULL)


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _figure(what: str, value: float, part: float, name: str, most: int | None = None) -> Figure:
    budget = most * part if most else None
    return Figure(what, value, "s", part, name, budget)


def _peers(count: int) -> list[GrantPeer]:
    pods, overlay = IPv4Network("10.0.0.0/8"), IPv4Network("100.64.0.0/16")
    pairs = zip(pods.subnets(new_prefix=24), overlay.hosts(), strict=False)
    return [
        GrantPeer(
            str(address),
            PublicKey(os.urandom(32)),
            Endpoint(IPv4Address(int(address) + 2**24), _PORT),
            frozenset({pod_cidr, IPv4Network(address)}),
            True,
            WHY,
        )
        for pod_cidr, address in islice(pairs, count)
    ]


def _configuration(peers: list[GrantPeer]) -> str:
    secret = base64.b64encode(os.urandom(32)).decode()
    lines = ["[Interface]", f"PrivateKey = {secret}"]
    for peer in peers:
        allowed = ", ".join(map(str, peer.prefixes))
        lines += ["[Peer]", f"PublicKey = {peer.key}"]
        lines += [f"Endpoint = {peer.endpoint}", f"AllowedIPs = {allowed}"]
    return "\n".join([*lines, ""])


def main(file: str, *counts: str) -> None:
    figures = {count: [asdict(f) for f in measure(int(count))] for count in counts}
    Path(file).write_text(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
