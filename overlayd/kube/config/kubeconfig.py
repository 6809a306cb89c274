"""Kubeconfig files: read, merged, and turned into the current context, as kubectl does.

Of several files the first that has a cluster, a user, a context or a current context of a name
decides about it, wholly. A path in a file is relative to that file's folder.
"""

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import quote

import msgspec

from overlayd.kube.config import kubeconfig_shapes as shapes
from overlayd.kube.config.context import Cluster, Context, Exec, Source, User
from overlayd.kube.config.proxies import parse_proxy
from overlayd.kube.config.urls import Url, parse_url
from overlayd.model.errors import KubeConfigError
from overlayd.model.text import shown

EXEC_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
EXEC_EXTENSION = "client.authentication.k8s.io/exec"
HEADER_NAME_CHARACTERS = "!#$&'*+-.^_`|~"  # RFC 9110's token, less letters, digits and "%"


class _Named(Protocol):
    name: str


_Entry = TypeVar("_Entry", bound=_Named)


def read_context(paths: Sequence[Path]) -> Context:
    """Read the current context. Files that do not exist are passed over, if at least one does.

    :raises KubeConfigError: none exists, one is unreadable or no kubeconfig, or what it says is
        incomplete or contradicts itself.
    """
    found = [(path, config) for path in paths if (config := _read(path)) is not None]
    if not found:
        raise KubeConfigError(f"there is no kubeconfig at {', '.join(map(_said, paths))}")
    current = next((c.current_context for _, c in found if c.current_context), None)
    if current is None:
        raise KubeConfigError(f"{_said(found[0][0])} sets no current-context")
    _, context = _named("context", current, [(p, c.contexts or []) for p, c in found])
    where, cluster = _named(
        "cluster", context.context.cluster or "", [(p, c.clusters or []) for p, c in found]
    )
    try:
        cluster_value = _cluster(cluster.cluster, where.parent)
    except KubeConfigError as error:
        raise KubeConfigError(f"{_said(where)}, cluster {shown(cluster.name)}: {error}") from None
    if not context.context.user:
        return Context(cluster_value, User())
    where, user = _named("user", context.context.user, [(p, c.users or []) for p, c in found])
    try:
        return Context(cluster_value, _user(user.user, where.parent))
    except KubeConfigError as error:
        raise KubeConfigError(f"{_said(where)}, user {shown(user.name)}: {error}") from None


def _said(path: Path) -> str:
    return shown(str(path), limit=4096)


def _read(path: Path) -> shapes.Kubeconfig | None:
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise KubeConfigError(f"cannot read {_said(path)}: {reason}") from None
    import yaml  # 1.5 MiB, which a pod with its service account does not need

    try:
        document = yaml.safe_load(raw.decode())
        return msgspec.convert({} if document is None else document, shapes.Kubeconfig)
    except UnicodeDecodeError:
        reason = "it is not UTF-8"
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        # Up to what is quoted: an unquoted password that begins with "!" or "*" would be.
        problem = (error.problem or "").partition("'")[0].strip()
        reason = f"line {line}: {shown(problem) or 'it is not YAML'}"
    except msgspec.ValidationError as error:
        reason = shown(str(error))
    except Exception as error:
        # PyYAML raises what comes: AttributeError for a bad !!timestamp, KeyError for a bad
        # !!bool. Its texts may quote the file, which has secrets.
        reason = f"it is not YAML ({type(error).__name__})"
    raise KubeConfigError(f"{_said(path)} is no kubeconfig: {reason}")


def _named(
    kind: str, name: str, lists: Sequence[tuple[Path, Sequence[_Entry]]]
) -> tuple[Path, _Entry]:
    for path, entries in lists:
        matching = [entry for entry in entries if entry.name == name]
        if len(matching) > 1:
            raise KubeConfigError(f"{_said(path)} has two {kind}s named {shown(name)}")
        if matching:
            return path, matching[0]
    files = ", ".join(_said(path) for path, _ in lists)
    raise KubeConfigError(f"no {kind} is named {shown(name)!r} in {files}")


def _cluster(shape: shapes.Cluster, folder: Path) -> Cluster:
    authority = _source(
        shape.certificate_authority_data, shape.certificate_authority, folder, "authority"
    )
    insecure = bool(shape.insecure_skip_tls_verify)
    if insecure and authority is not None:
        raise KubeConfigError("it has a certificate authority and insecure-skip-tls-verify: true")
    extensions = {extension.name: extension.extension for extension in shape.extensions or []}
    return Cluster(
        server=parse_server(
            shape.server or "", "https" if insecure or authority is not None else "http"
        ),
        authority=authority,
        insecure=insecure,
        server_name=shape.tls_server_name or "",
        proxy=parse_proxy(shape.proxy_url, "proxy-url") if shape.proxy_url else None,
        compression=not shape.disable_compression,
        exec_config=extensions.get(EXEC_EXTENSION),
    )


def parse_server(text: str, default_scheme: str) -> Url:
    """Read the URL of an API server; without a scheme it is `host:port`.

    :raises KubeConfigError: it is no such URL.
    """
    try:
        url = parse_url(text if "://" in text else f"{default_scheme}://{text}", ("http", "https"))
    except ValueError as error:
        raise KubeConfigError(f"the server's URL cannot be used: {error}") from None
    if url.login is not None:
        raise KubeConfigError("the server's URL holds credentials; a user has to")
    return url


def _user(shape: shapes.User, folder: Path) -> User:
    if shape.auth_provider:
        raise KubeConfigError("auth-provider is no longer supported, by kubectl either; use exec")
    certificate = _source(
        shape.client_certificate_data, shape.client_certificate, folder, "client-certificate"
    )
    key = _source(shape.client_key_data, shape.client_key, folder, "client-key")
    if (certificate is None) != (key is None):
        raise KubeConfigError("it has only one of client-certificate and client-key")
    if (shape.token or shape.token_file) and shape.username:
        raise KubeConfigError("it has a token and a username; only one can be")
    return User(
        certificate=certificate,
        key=key,
        token=shape.token or "",
        token_file=folder / shape.token_file if shape.token_file else None,
        login=(shape.username, shape.password or "") if shape.username else None,
        exec=_exec(shape.exec, folder) if shape.exec else None,
        impersonate=tuple(_impersonation(shape)),
    )


def _source(data: str | None, file: str | None, folder: Path, kind: str) -> Source | None:
    if not data:
        return folder / file if file else None
    try:
        return base64.b64decode("".join(data.split()).encode(), validate=True)
    except (binascii.Error, ValueError):
        raise KubeConfigError(f"the embedded data of {kind} is not base64") from None


def _exec(shape: shapes.Exec, folder: Path) -> Exec:
    if not shape.command:
        raise KubeConfigError("exec names no command")
    if shape.api_version not in EXEC_VERSIONS:
        raise KubeConfigError(
            f"exec has apiVersion {shown(shape.api_version or '')!r}, not {EXEC_VERSIONS[0]}"
        )
    if not shape.interactive_mode and shape.api_version == EXEC_VERSIONS[0]:
        raise KubeConfigError("exec sets no interactiveMode")
    if shape.interactive_mode not in (None, "", "Never", "IfAvailable"):
        raise KubeConfigError(
            f"exec has interactiveMode {shown(shape.interactive_mode)}; a daemon has no terminal"
        )
    command = shape.command
    return Exec(
        # A bare name is looked up in PATH; what has a slash is a path like any other.
        command=str(folder / command) if "/" in command else command,
        args=tuple(shape.args or ()),
        env=tuple((variable.name, variable.value) for variable in shape.env or ()),
        api_version=shape.api_version,
        cluster_info=bool(shape.provide_cluster_info),
        install_hint=shape.install_hint or "",
    )


def _impersonation(shape: shapes.User) -> list[tuple[str, str]]:
    headers: list[tuple[str, str]] = []
    if shape.as_:
        headers.append(("Impersonate-User", shape.as_))
    if shape.as_uid:
        headers.append(("Impersonate-Uid", shape.as_uid))
    headers += [("Impersonate-Group", group) for group in shape.as_groups or ()]
    for key, values in (shape.as_user_extra or {}).items():
        name = f"Impersonate-Extra-{quote(key, safe=HEADER_NAME_CHARACTERS)}"
        headers += [(name, value) for value in values]
    if not all(value.isprintable() for _, value in headers):
        raise KubeConfigError("it impersonates a name that is not printable")
    if headers and not shape.as_:
        raise KubeConfigError("it impersonates a group, uid or extra without a user (as)")
    return headers
