"""The API server dies, hangs, lies and forgets. It costs nobody a packet."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from chaos.fault import Fault, Stage
from lab.development import DevelopmentCluster
from lab.eventually import SERVER_BACK

_BEATS = 20
"""How many versions a backup is behind."""

_MISSED = 5.0
"""Seconds after which every daemon has seen that there is no server: more than a first back-off."""

_REFUSALS = 6
"""How many requests in a row are refused; five daemons ask."""

_CUT = 700
"""Bytes after which a line ends: somewhere in a Node."""


@contextmanager
def killed(stage: Stage) -> Iterator[None]:
    stage.mesh.cluster.kill()
    yield
    stage.mesh.cluster.start()
    stage.ghosts.sing()


@contextmanager
def hung(stage: Stage) -> Iterator[None]:
    stage.mesh.cluster.hang()
    yield
    stage.mesh.cluster.resume()
    stage.ghosts.sing()


@contextmanager
def resets(stage: Stage) -> Iterator[None]:
    _development(stage).reset_watches()
    yield
    _development(stage).reset_watches()
    stage.ghosts.sing()


@contextmanager
def clean_ends(stage: Stage) -> Iterator[None]:
    _development(stage).fault("end-watches")
    yield
    stage.ghosts.sing()


@contextmanager
def cut_line(stage: Stage) -> Iterator[None]:
    _development(stage).fault("cut-next-line", length=_CUT)
    stage.ghosts.sing()
    yield
    stage.ghosts.sing()


@contextmanager
def garbage(stage: Stage) -> Iterator[None]:
    _development(stage).fault("inject-line", line="<html>a proxy is sorry</html>\n")
    yield
    stage.ghosts.sing()


@contextmanager
def forgotten(stage: Stage) -> Iterator[None]:
    """The versions that the daemons have are gone: 410."""
    cluster = _development(stage)
    cluster.reset_watches()
    stage.ghosts.sing()
    cluster.fault("forget-history")
    yield
    stage.ghosts.sing()


@contextmanager
def older_history(stage: Stage) -> Iterator[None]:
    """The server comes back with the data of a backup, whose versions are lower."""
    cluster = _development(stage)
    backup = cluster.backup()
    for _ in range(_BEATS):
        stage.ghosts.sing()
    cluster.kill()
    yield
    time.sleep(_MISSED)
    cluster.restore(backup)
    cluster.start()
    stage.ghosts.sing()


def _refusing(status: int, **arguments: Any) -> Fault:
    @contextmanager
    def refused(stage: Stage) -> Iterator[None]:
        cluster = _development(stage)
        cluster.fault("answer-next", count=_REFUSALS, status=status, **arguments)
        cluster.reset_watches()
        yield
        cluster.fault("clear")
        stage.ghosts.sing()

    what = "/".join(arguments.get("verbs", ("any request",)))
    return _of_server(f"API server answers {status} to {what}", refused)


def _of_server(name: str, cause: Any, alone: bool = False) -> Fault:
    return Fault(
        name,
        cause,
        places=0,
        lasting=True,
        harms=False,
        limit=SERVER_BACK,
        of_server=True,
        alone=alone,
    )


@contextmanager
def unauthorized(stage: Stage) -> Iterator[None]:
    """Tokens were rotated, and nobody has the new one yet."""
    cluster = _development(stage)
    cluster.fault("set-tokens", tokens=["another"])
    cluster.reset_watches()
    yield
    cluster.fault("set-tokens")
    stage.ghosts.sing()


FAULTS = (
    _of_server("API server killed, and started", killed),
    _of_server("API server hangs", hung),
    _of_server("watches reset", resets),
    _of_server("watches end", clean_ends),
    _of_server("watch cut in a line", cut_line),
    _of_server("garbage in the watch", garbage),
    _of_server("history forgotten (410)", forgotten),
    _of_server("older history restored", older_history, alone=True),
    _of_server("credentials refused (401)", unauthorized),
    _refusing(403, verbs=["list", "watch"]),
    _refusing(500),
    _refusing(429, retry_after=2),
    _refusing(503, verbs=["list", "watch"], retry_after=1),
    _refusing(422, verbs=["patch"]),
)


def _development(stage: Stage) -> DevelopmentCluster:
    assert isinstance(stage.mesh.cluster, DevelopmentCluster)
    return stage.mesh.cluster
