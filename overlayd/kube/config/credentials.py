"""The way to the API server as it is now: what is rotated on disk or expires is taken up.

Before each request the files that are involved are looked at (time, size, inode, so a swapped
symlink shows too), and if one changed all are read again. What cannot be read or used, because it
is being written, changes nothing: the way as it was is kept until it can.
"""

import base64
import os
import ssl
from collections.abc import Iterable
from pathlib import Path

from attrs import evolve, field, frozen

from overlayd.kube.abort import Abort
from overlayd.kube.config.access import Access
from overlayd.kube.config.plugin import Plugin
from overlayd.kube.config.reading import Reading, read_files
from overlayd.kube.config.tls import Material, make_tls
from overlayd.kube.config.urls import Url
from overlayd.model.errors import KubeConfigError, Unreachable

_Mark = tuple[int, int, int, int]
_Marks = dict[Path, _Mark | None]


@frozen
class Way:
    """How a request reaches the server now. One connection serves all ways that are equal."""

    server: Url
    proxy: Url | None
    tls: ssl.SSLContext | None  # None: a server without TLS
    server_name: str
    compression: bool = field(eq=False)
    headers: tuple[tuple[str, str], ...] = field(eq=False, repr=False)


class Credentials:
    """The newest usable reading, and the plugin that belongs to it. Blocking, for one thread."""

    def __init__(self, access: Access, abort: Abort) -> None:
        self._access = access
        self._abort = abort
        self._reading: Reading | None = None
        self._marks: _Marks | None = None
        self._plugin: Plugin | None = None
        self._tls: tuple[Material, ssl.SSLContext] | None = None

    def way(self) -> Way:
        """Return the way to the server as everything involved says now.

        :raises Unreachable: there never was one, or a plugin gives no credential.
        """
        try:
            return self._way(self._current())
        except KubeConfigError as error:
            raise Unreachable(str(error)) from None

    def dialled(self) -> Url:
        """Return what is dialled now: the server, or its proxy.

        :raises Unreachable: nothing ever said what.
        """
        try:
            reading = self._current()
        except KubeConfigError as error:
            raise Unreachable(str(error)) from None
        return reading.proxy or reading.context.cluster.server

    def refused(self) -> None:
        """The server answered 401: before the next request all is read, and the plugin asked."""
        self._marks = None
        if self._plugin is not None:
            self._plugin.refused()

    def _current(self) -> Reading:
        if self._reading is not None and self._marks == _marks(self._marks or ()):
            return self._reading
        try:
            # Marked before they are read: what changes meanwhile shows at the next look.
            marks = _marks(self._access.files)
            context = self._access.read()
            marks |= _marks(context.files)
            reading = read_files(context, self._access.environ)
        except KubeConfigError:
            if self._reading is None:
                raise
            return self._reading
        self._take_plugin(reading)
        self._reading, self._marks = reading, marks
        return reading

    def _take_plugin(self, reading: Reading) -> None:
        command = reading.context.user.exec
        old = self._reading
        if old is not None and (old.context.user.exec, old.info) == (command, reading.info):
            return
        self._plugin = None
        if command is not None:
            access = self._access
            self._plugin = Plugin(command, reading.info, access.environ, access.clock, self._abort)

    def _way(self, reading: Reading) -> Way:
        cluster, user = reading.context.cluster, reading.context.user
        # As kubectl does: over plain HTTP no server is told who we are.
        tls, identity = None, None
        if cluster.server.scheme == "https":
            material, token = reading.material, reading.token
            if self._plugin is not None:
                given = self._plugin.credential()
                token = given.token or token
                if given.certificate is not None:
                    material = evolve(material, certificate=given.certificate, key=given.key)
            tls, identity = self._tls_of(material), _authorization(token, user.login)
        return Way(
            server=cluster.server,
            proxy=reading.proxy,
            tls=tls,
            server_name=cluster.server_name or cluster.server.host,
            compression=cluster.compression,
            headers=(*((("Authorization", identity),) if identity else ()), *user.impersonate),
        )

    def _tls_of(self, material: Material) -> ssl.SSLContext:
        if self._tls is None or self._tls[0] != material:
            self._tls = material, make_tls(material)
        return self._tls[1]


def _authorization(token: str, login: tuple[str, str] | None) -> str | None:
    if token:
        return f"Bearer {token}"
    return basic(login) if login else None


def basic(login: tuple[str, str]) -> str:
    """The value of an Authorization header with a user name and password."""
    return f"Basic {base64.b64encode(':'.join(login).encode()).decode()}"


def _marks(files: Iterable[Path]) -> _Marks:
    return {path: _mark(path) for path in files}


def _mark(path: Path) -> _Mark | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev
