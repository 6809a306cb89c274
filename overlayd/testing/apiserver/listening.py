"""Where the server listens: TCP, TLS, or a unix socket, read from the command line."""

from attrs import frozen
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.endpoints import (
    SSL4ServerEndpoint,
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    UNIXServerEndpoint,
)
from twisted.internet.interfaces import IListeningPort, IReactorCore, IStreamServerEndpoint


@frozen
class Tls:
    """PEM files. With a `client_ca`, clients without a certificate of it are turned away."""

    certificate: str
    key: str
    client_ca: str | None = None


@frozen
class Place:
    """`HOST:PORT` (port 0: a free one) or `unix:PATH`."""

    host: str
    port: int
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> "Place":
        """:raises ValueError: neither of the two."""
        if text.startswith("unix:") and len(text) > len("unix:"):
            return cls("", 0, text.removeprefix("unix:"))
        host, _, port = text.rpartition(":")
        if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise ValueError(f"{text}: not HOST:PORT and not unix:PATH")
        return cls(host.removeprefix("[").removesuffix("]"), int(port))

    def endpoint(self, reactor: IReactorCore, tls: Tls | None) -> IStreamServerEndpoint:
        """:raises OSError: a file of `tls` cannot be read; ValueError: it holds no such thing."""
        if self.path:
            return UNIXServerEndpoint(reactor, self.path, mode=0o600)
        if tls is not None:
            return SSL4ServerEndpoint(reactor, self.port, _context(tls), interface=self.host)
        tcp = TCP6ServerEndpoint if ":" in self.host else TCP4ServerEndpoint
        return tcp(reactor, self.port, interface=self.host)

    def url(self, port: IListeningPort, tls: Tls | None) -> str:
        """How clients reach it, with the port it really got."""
        if self.path:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'http' if tls is None else 'https'}://{host}:{_number(port)}"


def _number(port: IListeningPort) -> int:
    host = port.getHost()
    return host.port if isinstance(host, IPv4Address | IPv6Address) else 0


def _context(tls: Tls) -> object:
    # Needs pyOpenSSL and service-identity (`twisted[tls]`), which nothing else here does.
    from twisted.internet.ssl import Certificate, PrivateCertificate

    pem = b""
    for path in (tls.certificate, tls.key):
        with open(path, "rb") as file:
            pem += file.read()
    authorities = []
    if tls.client_ca is not None:
        with open(tls.client_ca, "rb") as file:
            authorities.append(Certificate.loadPEM(file.read()))
    return PrivateCertificate.loadPEM(pem).options(*authorities)
