"""What a context's files hold, read at one moment and found to fit together."""

from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from overlayd.kube.config.context import Context, Source, User
from overlayd.kube.config.plugin import exec_info
from overlayd.kube.config.proxies import proxy_from_environment
from overlayd.kube.config.tls import Material, make_tls
from overlayd.kube.config.urls import Url
from overlayd.model.errors import KubeConfigError
from overlayd.model.text import shown


@frozen
class Reading:
    """A context with everything that it names; `info` is what its plugin, if any, is told."""

    context: Context
    proxy: Url | None
    material: Material
    token: str = field(repr=False)
    info: str = field(repr=False)


def read_files(context: Context, environ: Mapping[str, str]) -> Reading:
    """Read the files that a context names.

    :raises KubeConfigError: one is missing, unreadable, or does not hold what it should.
    """
    cluster, user = context.cluster, context.user
    roots = _content(cluster.authority)
    material = Material(roots, cluster.insecure, _content(user.certificate), _content(user.key))
    if cluster.server.scheme == "https":
        make_tls(material)
    try:
        info = exec_info(user.exec, cluster, roots) if user.exec else ""
    except ValueError as error:
        raise KubeConfigError(str(error)) from None
    proxy = cluster.proxy or proxy_from_environment(cluster.server, environ)
    return Reading(context, proxy, material, _token(user), info)


def _content(source: Source | None) -> bytes | None:
    if not isinstance(source, Path):
        return source
    try:
        return source.read_bytes()
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or "not a path"
        raise KubeConfigError(f"cannot read {shown(str(source), 4096)}: {reason}") from None


def _token(user: User) -> str:
    try:
        token = (_content(user.token_file) or b"").decode().strip()
        if user.token_file is not None and not token:
            raise KubeConfigError(f"the token file {user.token_file} is empty")
    except (KubeConfigError, UnicodeDecodeError) as error:
        if not user.token:
            text = str(error) if isinstance(error, KubeConfigError) else "the token is not text"
            raise KubeConfigError(text) from None
        token = ""
    token = token or user.token
    if not (token.isascii() and token.isprintable()):
        raise KubeConfigError("the token has characters that no token has")
    return token
