"""Starts the development API server as a process of its own, from tests, the lab, or the demo.

    with development_server("--nodes", "3") as server:
        ... server.url ...
        server.fault("answer-next", count=2, status=503, retry_after=1)

Blocking; no Twisted in this process. The server ends with the `with` block, and also when this
process dies, however it dies: it reads the end of its standard input.
"""

import contextlib
import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

READY_WITHIN = 60.0
"""Seconds until the server has to say where it listens."""
ENDS_WITHIN = 10.0


class ServerFailed(Exception):
    """The server did not start; the text is what it said."""


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket: it works from any network namespace."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class ServerProcess:
    """A running server. `url` is where clients reach it."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, control: str) -> None:
        self.process = process
        self.url = url
        self._control = control

    def fault(self, name: str, **arguments: Any) -> None:
        """Cause a fault: a name of `controls`, with the arguments of that method of `Faults`.

        :raises ValueError: the server refused; the text says why.
        """
        self._ask("POST", name, arguments)

    def counters(self, agent: str | None = None) -> dict[str, int]:
        """What was counted, of all clients or of one User-Agent; names as in `Counters`."""
        counted = self._ask("GET", "counters")
        by_agent: dict[str, dict[str, int]] = counted["by_user_agent"]
        total: dict[str, int] = counted["total"]
        return total if agent is None else by_agent.get(agent, {})

    def clear_counters(self) -> None:
        self._ask("POST", "clear-counters")

    def requests(self) -> list[dict[str, Any]]:
        """The last requests in the order of their answers; fields as in `Answered`."""
        log: list[dict[str, Any]] = self._ask("GET", "requests")
        return log

    def state(self) -> dict[str, Any]:
        """`version`, `oldest`, `nodes`, `open_watches` and `hung`."""
        state: dict[str, Any] = self._ask("GET", "state")
        return state

    def await_watches(self, count: int, within: float = 10.0) -> None:
        """Return once so many watches are open.

        :raises TimeoutError: it did not come to that.
        """
        until = time.monotonic() + within
        while self.state()["open_watches"] != count:
            if time.monotonic() > until:
                raise TimeoutError(f"{self.state()['open_watches']} watches, not {count}")
            time.sleep(0.01)

    def pause(self) -> None:
        """Stop the process (SIGSTOP): the kernel takes connections, and nobody answers."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on (SIGCONT)."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it with SIGTERM and return its exit status."""
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            return self.process.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.process.returncode

    def _ask(self, method: str, name: str, arguments: dict[str, Any] | None = None) -> Any:
        connection = _Connection(self._control)
        try:
            connection.request(method, f"/testing/{name}", json.dumps(arguments or {}))
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise ValueError(answer["message"])
        return answer


@contextlib.contextmanager
def development_server(
    *options: str, listen: str = "127.0.0.1:0", prefix: Sequence[str] = ()
) -> Iterator[ServerProcess]:
    """Start a server with faults switched on, and end it afterwards.

    :param options: more of the command line, such as `--nodes 3`, `--token T`, or `--state FILE`,
        which lets a server that was killed be started again with the same Nodes.
    :param listen: HOST:PORT; port 0 takes a free one.
    :param prefix: a command that runs the server's, such as `ip netns exec NAME`. It must keep
        standard input, and show the folder for temporary files under the same path; signals reach
        the server only where the prefix becomes it (exec).
    :raises ServerFailed: it ended, or said nothing in time.
    """
    with tempfile.TemporaryDirectory(prefix="apiserver-") as folder:
        control, said = str(Path(folder, "control")), Path(folder, "stderr")
        command = [*prefix, sys.executable, "-m", "overlayd.testing.apiserver"]
        command += ["--listen", listen, "--listen", f"unix:{control}"]
        command += ["--testing", "--until-stdin-closes", *options]
        with said.open("wb") as errors:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # a Ctrl-C at the terminal is for who started it
            )
        with process:
            try:
                line = _first_line(process.stdout, READY_WITHIN)
                if not line.startswith("listening on "):
                    process.kill()
                    raise ServerFailed(said.read_text().strip() or "the server did not start")
                yield ServerProcess(process, line.split()[2], control)
            finally:
                if process.poll() is None:
                    ServerProcess(process, "", control).stop()
                sys.stderr.write(said.read_text())


def _first_line(stream: IO[bytes] | None, within: float) -> str:
    """Read a line; "" where none came in time."""
    if stream is None:
        return ""
    read, until = b"", time.monotonic() + within
    while not read.endswith(b"\n"):
        left = until - time.monotonic()
        if left <= 0 or not select.select([stream], [], [], left)[0]:
            return ""
        chunk = os.read(stream.fileno(), 4096)
        if not chunk:
            return ""
        read += chunk
    return read.decode()
