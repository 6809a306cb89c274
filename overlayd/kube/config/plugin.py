"""Credential plugins: a command that prints a token or a client certificate (kubectl's `exec`)."""

import base64
import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import IO

import msgspec
from attrs import field, frozen

from overlayd.kube.abort import Abort
from overlayd.kube.config.context import Cluster, Exec
from overlayd.model.errors import Unreachable
from overlayd.model.text import shown

RUN_LIMIT = 60.0  # seconds; a plugin that asks a cloud's API takes a few
RENEW_EARLY = 60.0  # seconds before a credential expires, or a tenth of its life if that is less


@frozen
class Credential:
    """What a plugin gave. `expires` is seconds since the epoch, None for never."""

    token: str = field(default="", repr=False)
    certificate: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)
    expires: float | None = None


class _Status(msgspec.Struct, rename="camel"):
    token: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None
    expiration_timestamp: datetime | None = None


class _ExecCredential(msgspec.Struct, rename="camel"):
    api_version: str = ""
    kind: str = ""
    status: _Status | None = None


class Plugin:
    """One plugin, and the credential it gave last. Blocking, for one thread."""

    def __init__(
        self,
        command: Exec,
        info: str,
        environ: Mapping[str, str],
        clock: Callable[[], float],
        abort: Abort,
        limit: float = RUN_LIMIT,
    ) -> None:
        """:param info: what `exec_info` tells it. :param clock: wall time in seconds."""
        self._command = command
        variables = dict(command.env)
        self._environ = {**environ, **variables, "KUBERNETES_EXEC_INFO": info}
        self._clock = clock
        self._abort = abort
        self._limit = limit
        self._held: Credential | None = None
        self._renew_at: float | None = None
        self._refused = False

    def credential(self) -> Credential:
        """Return a credential that is valid, from the plugin where the last one no longer is.

        A plugin that fails costs nothing while the last credential is valid.

        :raises Unreachable: there is none.
        """
        now = self._clock()
        held = self._held
        if held is not None and not self._refused and not _due(self._renew_at, now):
            return held
        try:
            self._held = credential = self._run()
        except Unreachable:
            if held is None or self._refused or _due(held.expires, now):
                raise
            return held
        self._refused = False
        self._renew_at = credential.expires
        if credential.expires is not None:
            life = credential.expires - now
            self._renew_at = credential.expires - min(RENEW_EARLY, max(life, 0.0) / 10)
        return credential

    def refused(self) -> None:
        """The API server does not take the credential: the next one comes from the plugin."""
        self._refused = True

    def _run(self) -> Credential:
        # Files that are in memory alone: a pipe could stay open in a grandchild for ever.
        with _memory() as output, _memory() as errors:
            status = self._status_of(output, errors)
            errors.seek(0)
            output.seek(0)
            if status != 0:
                ended = f"status {status}" if status > 0 else signal.Signals(-status).name
                line = errors.readline(1000).decode(errors="replace").strip()
                raise self._failed(f"ended with {ended}: {shown(line) or 'it said nothing'}")
            return self._read(output.read())

    def _status_of(self, output: IO[bytes], errors: IO[bytes]) -> int:
        self._abort.check()
        try:
            process = subprocess.Popen(
                [self._command.command, *self._command.args],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env=self._environ,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or "not a command"
            hint = self._command.install_hint
            raise self._failed(
                f"cannot be run: {reason}" + (f" ({shown(hint)})" if hint else "")
            ) from None
        try:
            with self._abort.ending(partial(_kill, process)):
                status = process.wait(self._limit)
        except subprocess.TimeoutExpired:
            raise self._failed(f"did not end within {self._limit:g} s and was killed") from None
        finally:
            _kill(process)
            process.wait()
        self._abort.check()
        return status

    def _read(self, printed: bytes) -> Credential:
        try:
            document = msgspec.json.decode(printed, type=_ExecCredential)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._failed("printed no ExecCredential in JSON") from None
        if document.kind != "ExecCredential" or document.api_version != self._command.api_version:
            raise self._failed(f"printed no ExecCredential of {self._command.api_version}")
        status = document.status or _Status()
        certificate, key = status.client_certificate_data, status.client_key_data
        if not status.token and not certificate and not key:
            raise self._failed("printed neither a token nor a client certificate")
        if bool(certificate) != bool(key):
            raise self._failed("printed only one of a client certificate and its key")
        if status.token and not (status.token.isascii() and status.token.isprintable()):
            raise self._failed("printed a token with characters that no token has")
        expires = status.expiration_timestamp
        if expires is not None and expires.tzinfo is None:
            expires = expires.replace(tzinfo=UTC)
        return Credential(
            token=status.token or "",
            certificate=certificate.encode() if certificate else None,
            key=key.encode() if key else None,
            expires=expires.timestamp() if expires is not None else None,
        )

    def _failed(self, what: str) -> Unreachable:
        return Unreachable(f"credential plugin {shown(self._command.command)} {what}")


def exec_info(command: Exec, cluster: Cluster, authority: bytes | None) -> str:
    """What a plugin is told in KUBERNETES_EXEC_INFO, as JSON.

    :raises ValueError: what the kubeconfig wants it to be told has no form in JSON.
    """
    spec: dict[str, object] = {"interactive": False}
    if command.cluster_info:
        told = {
            "server": f"{cluster.server}{cluster.server.path}",
            "tls-server-name": cluster.server_name,
            "insecure-skip-tls-verify": cluster.insecure,
            "certificate-authority-data": base64.b64encode(authority or b"").decode(),
            "proxy-url": str(cluster.proxy or ""),
            "disable-compression": not cluster.compression,
            "config": cluster.exec_config,
        }
        spec["cluster"] = {name: value for name, value in told.items() if value or name == "server"}
    document = {"apiVersion": command.api_version, "kind": "ExecCredential", "spec": spec}
    try:
        return json.dumps(document)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"the extension of exec is not JSON: {shown(str(error))}") from None


def _memory() -> IO[bytes]:
    return open(os.memfd_create("overlayd-exec", os.MFD_CLOEXEC), "w+b")


def _due(when: float | None, now: float) -> bool:
    return when is not None and now >= when


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End the plugin and what it started, unless it has ended."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
