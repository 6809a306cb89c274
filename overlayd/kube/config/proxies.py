"""Which proxy the environment asks for, by the rules of Go's net/http, so of kubectl.

HTTPS_PROXY for https servers, HTTP_PROXY for http ones, but not for what NO_PROXY lists, nor ever
for this machine itself. Upper case goes before lower case; there is no ALL_PROXY.
"""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network

from overlayd.kube.config.urls import Url, parse_url
from overlayd.model.errors import KubeConfigError
from overlayd.model.node import IPAddress

SCHEMES = ("http", "https", "socks5", "socks5h")


def parse_proxy(text: str, named_by: str) -> Url:
    """Read the URL of a proxy.

    :param named_by: the setting that it is the value of, for the error.
    :raises KubeConfigError: it is no such URL. Its text may hold a password and is not repeated.
    """
    try:
        return parse_url(text, SCHEMES)
    except ValueError as error:
        raise KubeConfigError(f"{named_by} names no proxy: {error}") from None


def proxy_from_environment(server: Url, environ: Mapping[str, str]) -> Url | None:
    """Return the proxy through which the server is to be reached, None for none.

    :raises KubeConfigError: the variable that counts is not the URL of a proxy.
    """
    name = "HTTPS_PROXY" if server.scheme == "https" else "HTTP_PROXY"
    found = next((n for n in (name, name.lower()) if environ.get(n)), None)
    if found is None or _goes_direct(server, environ.get("NO_PROXY") or environ.get("no_proxy")):
        return None
    text = environ[found]
    return parse_proxy(text if "://" in text else f"http://{text}", found)


def _goes_direct(server: Url, no_proxy: str | None) -> bool:
    host = server.host.lower().rstrip(".")
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    entries = (entry.strip().lower() for entry in (no_proxy or "").split(","))
    return any(_covers(entry, host, address, server.port) for entry in entries if entry)


def _covers(entry: str, host: str, address: IPAddress | None, port: int) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        try:
            return address is not None and address in ip_network(entry, strict=False)
        except ValueError:
            return False
    name, wanted = _split_port(entry)
    if wanted is not None and wanted != port:
        return False
    if (literal := _address(name)) is not None:
        return literal == address
    if name.startswith("*."):
        name = name[1:]
    if name.startswith("."):
        return host.endswith(name)
    return host == name or host.endswith(f".{name}")


def _split_port(entry: str) -> tuple[str, int | None]:
    if _address(entry) is not None:
        return entry, None
    name, colon, port = entry.rpartition(":")
    if colon and port.isdecimal():
        return name.removeprefix("[").removesuffix("]"), int(port)
    return entry.removeprefix("[").removesuffix("]"), None


def _address(text: str) -> IPAddress | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
