"""A context in kubeconfig's sense: a cluster, and who we are there. Paths in it are absolute."""

from pathlib import Path

from attrs import field, frozen

from overlayd.kube.config.urls import Url

Source = bytes | Path
"""PEM that is embedded, or the file that holds it."""


@frozen
class Cluster:
    server: Url
    authority: Source | None = field(default=None, repr=False)  # None: the system's roots
    insecure: bool = False
    server_name: str = ""  # "": the host of the server
    proxy: Url | None = None  # None: what the environment says
    compression: bool = True
    exec_config: object = None  # what the extension client.authentication.k8s.io/exec holds


@frozen
class Exec:
    """A credential plugin, as client.authentication.k8s.io describes it."""

    command: str
    args: tuple[str, ...] = field(default=(), repr=False)
    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    api_version: str = "client.authentication.k8s.io/v1"
    cluster_info: bool = False
    install_hint: str = ""


@frozen
class User:
    certificate: Source | None = field(default=None, repr=False)
    key: Source | None = field(default=None, repr=False)
    token: str = field(default="", repr=False)
    token_file: Path | None = None  # goes before `token` while it can be read
    login: tuple[str, str] | None = field(default=None, repr=False)  # user name and password
    exec: Exec | None = None
    impersonate: tuple[tuple[str, str], ...] = ()  # as headers


@frozen
class Context:
    cluster: Cluster
    user: User

    @property
    def files(self) -> tuple[Path, ...]:
        """What has to be read before the cluster can be reached."""
        user = self.user
        named = (self.cluster.authority, user.certificate, user.key, user.token_file)
        return tuple(source for source in named if isinstance(source, Path))
