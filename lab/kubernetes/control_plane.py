"""etcd, kube-apiserver and kube-controller-manager, run as a cluster runs them."""

import json
import os
import shutil
import ssl
import tempfile
from collections.abc import Sequence
from http.client import HTTPException, HTTPSConnection
from pathlib import Path

from lab.kubernetes import etcd
from lab.kubernetes.audit import POLICY, AuditLog
from lab.kubernetes.authority import Authority, TokenKey
from lab.kubernetes.binaries import Binaries, binaries
from lab.kubernetes.component import Component, Start, free_ports, start_here
from lab.kubernetes.users import Users
from lab.topology import POD_PREFIX, PODS

SERVICES = "10.96.0.0/16"
_MEMORY = Path("/dev/shm")
_ROOM = 1 << 30  # bytes that a store takes at the most
_LIMIT = 10.0  # seconds for an answer

_CONTROLLERS = (
    "node-ipam-controller",
    "serviceaccount-controller",
    "namespace-controller",
    "garbage-collector-controller",
)
"""Those that give Nodes their podCIDRs, and clean up. None that taints Nodes or evicts pods: the
kubelets that would keep Nodes ready are not there."""


class ControlPlane:
    """A control plane at an address of this machine, or of the namespace whose `start` is given.

    Its store is empty at first. `etcd`, `apiserver` and `controllers` can be killed, hung and
    started again each by itself; they keep address, ports and data. `close` ends them all. What
    `authority.renew` changes they take up when they are started again.
    """

    def __init__(
        self,
        address: str = "127.0.0.1",
        start: Start = start_here,
        options: Sequence[str] = (),
        programs: Binaries | None = None,
    ) -> None:
        """:param options: more of kube-apiserver's command line."""
        self.programs = programs or binaries()
        self.folder = Path(tempfile.mkdtemp(prefix="control-plane-", dir=_fast_folder()))
        self.address = address
        self._etcd_port, peers, self.port, health = free_ports(4)
        self.url = f"https://{address}:{self.port}"
        self.audit = AuditLog(self.folder / "audit.log")
        self.tokens = TokenKey(self.folder)
        self.authority = Authority(self.folder)
        self.users = Users(self.authority, self.url, self.programs.kubectl)
        self._write_files()
        self.etcd = Component(
            start,
            self._etcd_command(peers),
            self.folder / "etcd.log",
            lambda: etcd.healthy(address, self._etcd_port),
        )
        self.apiserver = Component(
            start,
            [*self._apiserver_command(), *options],
            self.folder / "apiserver.log",
            lambda: self._ok(self.port, "/readyz"),
        )
        self.controllers = Component(
            start,
            self._controllers_command(health),
            self.folder / "controllers.log",
            lambda: self._ok(health, "/healthz"),
        )

    def start(self, controllers: bool = True) -> None:
        """Start it and wait until it answers; without `controllers` Nodes get no podCIDRs."""
        self.etcd.start()
        self.apiserver.start()
        if controllers:
            self.controllers.start()

    def close(self) -> None:
        """End it, and remove its data."""
        for component in (self.controllers, self.apiserver, self.etcd):
            component.kill()
        shutil.rmtree(self.folder)

    # --- its history -------------------------------------------------------------------------

    def compact(self) -> int:
        """Let etcd forget every version but the newest, which is returned.

        The API server still serves what it holds in memory.
        """
        return etcd.compact(self.address, self._etcd_port)

    def forget_history(self) -> None:
        """Answer 410 for every version before this: compact, and restart the API server."""
        self.compact()
        self.apiserver.kill()
        self.apiserver.start()

    def backup(self) -> Path:
        """A copy of etcd's data as they are now, as a crash would leave them."""
        copy = Path(tempfile.mkdtemp(prefix="backup-", dir=self.folder))
        self.etcd.hang()
        shutil.copytree(self._data, copy, dirs_exist_ok=True)
        self.etcd.resume()
        return copy

    def restore(self, backup: Path | None = None) -> None:
        """Restart it with the data of a backup, or with none: its versions go backwards."""
        controlled = self.controllers.running
        for component in (self.controllers, self.apiserver, self.etcd):
            component.kill()
        shutil.rmtree(self._data)
        if backup is not None:
            shutil.copytree(backup, self._data)
        self.start(controlled)

    # --- how it is run -----------------------------------------------------------------------

    @property
    def _data(self) -> Path:
        return self.folder / "etcd"

    def _write_files(self) -> None:
        (self.folder / "audit.policy").write_text(json.dumps(POLICY))
        self.authority.issue("serving", "kube-apiserver", hosts=[self.address, "localhost"])
        manager = self.users.certificate("system:kube-controller-manager")
        self.users.write_kubeconfig("controllers", manager)

    def _etcd_command(self, peers: int) -> list[str]:
        clients = f"http://{self.address}:{self._etcd_port}"
        members = f"http://{self.address}:{peers}"
        return [
            str(self.programs.etcd),
            *("--data-dir", str(self._data), "--unsafe-no-fsync"),
            *("--listen-client-urls", clients, "--advertise-client-urls", clients),
            *("--listen-peer-urls", members, "--initial-advertise-peer-urls", members),
            *("--initial-cluster", f"default={members}"),
        ]

    def _apiserver_command(self) -> list[str]:
        folder = self.folder
        return [
            str(self.programs.apiserver),
            f"--etcd-servers=http://{self.address}:{self._etcd_port}",
            *(f"--bind-address={self.address}", f"--advertise-address={self.address}"),
            *(f"--secure-port={self.port}", "--endpoint-reconciler-type=none"),
            f"--tls-cert-file={folder / 'serving.crt'}",
            f"--tls-private-key-file={folder / 'serving.key'}",
            f"--client-ca-file={folder / 'ca.crt'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.tokens.public}",
            f"--service-account-signing-key-file={self.tokens.private}",
            f"--service-cluster-ip-range={SERVICES}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--audit-policy-file={folder / 'audit.policy'}",
            f"--audit-log-path={folder / 'audit.log'}",
            *("--audit-log-mode=blocking-strict", "--audit-log-maxsize=0"),
        ]

    def _controllers_command(self, port: int) -> list[str]:
        return [
            str(self.programs.controller_manager),
            f"--kubeconfig={self.folder / 'controllers.kubeconfig'}",
            *(f"--bind-address={self.address}", f"--secure-port={port}"),
            f"--cert-dir={self.folder / 'controllers'}",
            *("--leader-elect=false", "--use-service-account-credentials"),
            f"--controllers={','.join(_CONTROLLERS)}",
            *("--allocate-node-cidrs", f"--cluster-cidr={PODS}"),
            *(f"--node-cidr-mask-size={POD_PREFIX}", f"--service-cluster-ip-range={SERVICES}"),
        ]

    def _ok(self, port: int, path: str) -> bool:
        """Whether a program says that it is well; who it is is not asked."""
        context = ssl._create_unverified_context()
        connection = HTTPSConnection(self.address, port, timeout=_LIMIT, context=context)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()


def _fast_folder() -> str | None:
    """A file system in memory, if it has room; None for where temporary files are otherwise."""
    try:
        free = os.statvfs(_MEMORY)
    except OSError:
        return None
    return str(_MEMORY) if free.f_bavail * free.f_frsize > _ROOM else None
