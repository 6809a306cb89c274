"""Where a server or a proxy is: the part of a URL that is dialled."""

from urllib.parse import SplitResult, unquote, urlsplit

from attrs import field, frozen

from overlayd.model.text import shown

DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


@frozen
class Url:
    """A server or proxy. Its text has neither the path nor the credentials."""

    scheme: str
    host: str  # without the brackets of an IPv6 literal
    port: int
    path: str = ""  # without a slash at the end
    login: tuple[str, str] | None = field(default=None, repr=False)  # user name and password

    @property
    def authority(self) -> str:
        """The host and port of a Host header and of CONNECT."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def parse_url(text: str, schemes: tuple[str, ...]) -> Url:
    """Read a URL with one of the schemes.

    :raises ValueError: it is none; the message repeats no more than the scheme or the host.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("it is not a URL") from None
    if parts.scheme not in schemes:
        raise ValueError(f"it begins with none of {', '.join(f'{s}://' for s in schemes)}")
    host = unquote(parts.hostname or "")
    if not host or not host.isascii() or any(c.isspace() or not c.isprintable() for c in host):
        raise ValueError(f"it has no host that can be dialled: {shown(host)!r}")
    return Url(
        scheme=parts.scheme,
        host=host,
        port=DEFAULT_PORTS[parts.scheme] if port is None else port,
        path=parts.path.rstrip("/"),
        login=_login(parts),
    )


def _login(parts: SplitResult) -> tuple[str, str] | None:
    if parts.username is None:
        return None
    return unquote(parts.username), unquote(parts.password or "")
