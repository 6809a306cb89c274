"""What overlayd needs on a cluster of many Nodes: time, memory and processor time.

    sudo python -m lab.private python -m benchmarks.converge [--nodes 5000] [--node-size 10000]

Everything real but the API server, which is the development one in a process of its own, with its
answers encoded beforehand. Times are of this machine: trust the ratios to the parts, below.
"""

import argparse
import base64
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from lab.namespaces import Namespace
from overlayd.testing.apiserver.process import ServerProcess, development_server

NAME = "benchmark-node"
ADDRESS = "172.30.0.11"
CONTROL = "/run/benchmark/control.sock"
LOG = Path("/run/benchmark/log")
SOCKET = "/run/wireguard/wg0.sock"
HERTZ = os.sysconf("SC_CLK_TCK")
LIMIT = 300.0
EVENTS = 300
JOINS = 20
IDLE = 20.0


class Daemon:
    """`twistd overlayd` under measurement."""

    def __init__(self, server: str) -> None:
        os.makedirs(os.path.dirname(CONTROL), mode=0o700, exist_ok=True)
        self.began = time.monotonic()
        self._process = subprocess.Popen(
            [
                *(installed("twistd"), "--nodaemon", "--pidfile=", f"--logfile={LOG}"),
                *("overlayd", "--server", server, "--node-name", NAME, "--control", CONTROL),
                *("--pod-cidr", "10.128.0.0/9"),
            ]
        )

    def cpu(self) -> float:
        """Seconds of processor time so far, without wireguard-go."""
        return cpu(self._process.pid)

    def memory(self, field: str) -> float:
        """MiB: VmRSS, now, or VmHWM, at the most so far."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) / 1024
        raise RuntimeError("the daemon has ended, see /run/benchmark/log")

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()


class Api:
    """One connection to the API server."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self._connection = http.client.HTTPConnection(place.hostname or "", place.port)

    def send(self, method: str, path: str, body: object) -> None:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        self._connection.request(method, path, json.dumps(body), {"Content-Type": kind})
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text.decode()}")


def installed(command: str) -> str:
    return str(Path(sys.executable).with_name(command))


def device() -> bytes:
    """What the device says of itself; nothing while there is none."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(SOCKET)
            connection.sendall(b"get=1\n\n")
        except OSError:
            return b""
        answer = b""
        while not answer.endswith(b"\n\n"):
            part = connection.recv(1 << 20)
            if not part:
                return b""
            answer += part
        return answer


def until(condition: Callable[[], bool], every: float) -> float:
    """Wait for a condition; when it came true, in monotonic seconds."""
    limit = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > limit:
            raise TimeoutError("it does not converge, see /run/benchmark/log")
        time.sleep(every)
    return time.monotonic()


def network() -> Namespace:
    """An underlay with a gateway that takes every packet and forwards none."""
    gateway = Namespace("gateway")
    for command in (
        "link set lo up",
        f"link add eth0 type veth peer name eth0 netns {gateway.pid}",
        f"addr add {ADDRESS}/24 dev eth0",
        "link set eth0 up",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    gateway.run("ip", "addr", "add", "172.30.0.1/24", "dev", "eth0")
    gateway.run("ip", "link", "set", "eth0", "up")
    subprocess.run(["ip", "route", "add", "default", "via", "172.30.0.1"], check=True)
    return gateway


def own_node() -> dict[str, object]:
    return {
        "metadata": {"name": NAME},
        "spec": {"podCIDRs": ["10.255.255.0/24"]},
        "status": {"addresses": [{"type": "InternalIP", "address": ADDRESS}]},
    }


def newcomer(number: int) -> dict[str, object]:
    """A Node that joins while we measure."""
    key = os.urandom(32)
    return {
        "metadata": {
            "name": f"newcomer-{number}",
            "annotations": {
                "wireguard-publickey": base64.b64encode(key).decode(),
                "wireguard-ip": f"100.64.250.{number}",
            },
        },
        "spec": {"podCIDRs": [f"10.254.{number}.0/24"]},
        "status": {"addresses": [{"type": "InternalIP", "address": f"172.30.250.{number}"}]},
    }


def report(what: str, value: str) -> None:
    print(f"{what:<58} {value}", flush=True)


def measure(server: ServerProcess, nodes: int) -> None:
    api = Api(server.url)
    api.send("POST", "/api/v1/nodes", own_node())
    daemon = Daemon(server.url)
    try:
        whole = until(lambda: device().count(b"public_key=") >= nodes, 0.1)
        report("process start to all peers in the device", f"{whole - daemon.began:.2f} s")
        ready = [installed("overlayctl"), "--control", CONTROL, "status", "--ready"]
        until(lambda: subprocess.run(ready, capture_output=True).returncode == 0, 0.2)
        report("  processor time until ready", f"{daemon.cpu():.2f} s")
        report("  resident memory", f"{daemon.memory('VmRSS'):.0f} MiB")
        report("  resident memory at the most", f"{daemon.memory('VmHWM'):.0f} MiB")
        settle()
        quiet(daemon)
        heartbeats(daemon, api)
        joins(daemon, api)
        began = time.monotonic()
        subprocess.run([*ready[:-1]], capture_output=True, check=True)
        report("overlayctl status", f"{time.monotonic() - began:.2f} s")
        report("  resident memory at the most, at the end", f"{daemon.memory('VmHWM'):.0f} MiB")
        counted = server.counters()
        report("requests", json.dumps(counted))
    except TimeoutError:
        subprocess.run([installed("overlayctl"), "--control", CONTROL, "status"], check=False)
        raise
    finally:
        daemon.stop()


def settle() -> None:
    """Wait until wireguard-go has given up on peers that do not exist: 90 s after we asked it."""
    pid = int(subprocess.run(["pgrep", "-x", "wireguard-go"], capture_output=True).stdout)
    until(lambda: cpu(pid, during=3.0) < 0.3, 1.0)


def cpu(pid: int, during: float = 0.0) -> float:
    """Seconds of processor time of a process so far, or in the next seconds."""
    if during:
        before = cpu(pid)
        time.sleep(during)
        return cpu(pid) - before
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / HERTZ


def quiet(daemon: Daemon) -> None:
    before = daemon.cpu()
    time.sleep(IDLE)
    share = (daemon.cpu() - before) / IDLE
    report("watching for drift, share of one core", f"{share:.2%}")


def heartbeats(daemon: Daemon, api: Api) -> None:
    """Node events that change nothing for us; the passes of that time are taken off by share."""
    before, began = daemon.cpu(), time.monotonic()
    for beat in range(EVENTS):
        conditions = [{"type": "Ready", "status": "True", "lastHeartbeatTime": f"{beat}"}]
        body = {"status": {"conditions": conditions}}
        api.send("PATCH", f"/api/v1/nodes/node-{beat:05d}/status", body)
    time.sleep(0.5)
    cost, lasted = daemon.cpu() - before, time.monotonic() - began
    report(
        f"a Node event that changes nothing ({EVENTS} in {lasted:.1f} s)",
        f"{cost / EVENTS * 1000:.2f} ms of processor time, periodic passes included",
    )


def joins(daemon: Daemon, api: Api) -> None:
    """How long a new Node takes to be a peer of the device, by the daemon's own log."""
    answered = {}
    for number in range(1, JOINS + 1):
        api.send("POST", "/api/v1/nodes", newcomer(number))
        answered[f"newcomer-{number}"] = time.time()
        time.sleep(1)
    lines = re.findall(r"^(\S+) info .*: add peer (newcomer-\d+) ", LOG.read_text(), re.MULTILINE)
    took = sorted(datetime.fromisoformat(at).timestamp() - answered[name] for at, name in lines)
    report(
        "a new Node is in the device, from the server's answer",
        f"median {took[len(took) // 2] * 1000:.0f} ms, "
        f"95th percentile {took[len(took) * 95 // 100] * 1000:.0f} ms, {len(took)} of {JOINS}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=5000)
    parser.add_argument("--node-size", type=int, default=10000)
    arguments = parser.parse_args()
    gateway = network()
    size = str(arguments.node_size)
    with development_server("--nodes", str(arguments.nodes), "--node-size", size) as server:
        report(f"{arguments.nodes} Nodes of {size} bytes, {os.cpu_count()} processors", "")
        measure(server, arguments.nodes)
    gateway.close()


if __name__ == "__main__":
    main()
