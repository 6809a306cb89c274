"""Where the API server is and who we are there, found as kubectl finds it."""

import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from attrs import evolve, field, frozen

from overlayd.kube.config.context import Cluster, Context, User
from overlayd.kube.config.kubeconfig import parse_server, read_context
from overlayd.kube.config.reading import read_files
from overlayd.kube.config.urls import Url
from overlayd.model.errors import KubeConfigError
from overlayd.model.text import shown

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@frozen
class Access:
    """How to find out where the API server is. What that is may change with the files.

    :ivar source: what people call it, for errors.
    :ivar read: reads the context anew; raises KubeConfigError.
    :ivar files: what `read` reads. The files that a context names are its own matter.
    :ivar environ: the environment for proxies and credential plugins.
    :ivar clock: wall time in seconds since the epoch, for credentials that expire.
    """

    source: str
    read: Callable[[], Context]
    files: tuple[Path, ...] = ()
    environ: Mapping[str, str] = field(factory=dict, repr=False)
    clock: Callable[[], float] = time.time


def find_access(
    server: str | None,
    kubeconfig: str | None,
    environ: Mapping[str, str],
    service_account: Path = SERVICE_ACCOUNT,
    clock: Callable[[], float] = time.time,
) -> Access:
    """Find the API server, and check that everything that says so is readable and fits together.

    The first of these decides: the file named by `kubeconfig`, the files in KUBECONFIG, the
    cluster that we run in, ~/.kube/config. `server`, a URL, takes the place of the one in the
    first two, as with kubectl; without them it stands alone, with no credentials.

    No connection is made and no credential plugin runs.

    :raises KubeConfigError: nothing says where the server is, or it cannot be read or used.
    """
    environ = dict(environ)
    access = _find(server, kubeconfig, environ, service_account, clock)
    context = access.read()
    try:
        read_files(context, environ)
    except KubeConfigError as error:
        raise KubeConfigError(f"{access.source}: {error}") from None
    return access


def _find(
    server: str | None,
    kubeconfig: str | None,
    environ: Mapping[str, str],
    service_account: Path,
    clock: Callable[[], float],
) -> Access:
    named = _named_files(kubeconfig, environ)
    if named:
        read = partial(_read, named, server or "")
        source = ", ".join(shown(str(path)) for path in named)
        return Access(source, read, named, environ, clock)
    if server:
        context = Context(Cluster(parse_server(server, "http")), User())
        return Access("--server", lambda: context, (), environ, clock)
    context_here = _in_cluster(environ, service_account)
    if context_here is not None:
        return Access("the service account", lambda: context_here, (), environ, clock)
    default = Path(environ.get("HOME") or "/").absolute() / ".kube" / "config"
    if os.path.exists(default):
        return Access(
            shown(str(default)), partial(_read, (default,), ""), (default,), environ, clock
        )
    raise KubeConfigError(
        "nothing says where the API server is: set --kubeconfig, KUBECONFIG or --server (this is "
        f"no pod with a service account, and there is no {shown(str(default))})"
    )


def _named_files(kubeconfig: str | None, environ: Mapping[str, str]) -> tuple[Path, ...]:
    if kubeconfig:
        return (Path(kubeconfig).absolute(),)
    listed = environ.get("KUBECONFIG", "").split(os.pathsep)
    return tuple(dict.fromkeys(Path(entry).absolute() for entry in listed if entry))


def _read(files: tuple[Path, ...], server: str) -> Context:
    context = read_context(files)
    if not server:
        return context
    url = parse_server(server, context.cluster.server.scheme)
    return evolve(context, cluster=evolve(context.cluster, server=url))


def _in_cluster(environ: Mapping[str, str], folder: Path) -> Context | None:
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    token = folder / "token"
    if not host or not port or not os.path.isfile(token):
        return None
    if not port.isdecimal() or int(port) > 65535:
        raise KubeConfigError("KUBERNETES_SERVICE_PORT is not a port")
    url = Url("https", host.removeprefix("[").removesuffix("]"), int(port))
    return Context(Cluster(url, authority=folder / "ca.crt"), User(token_file=token))
