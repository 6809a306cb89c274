"""Certificate authorities and certificates, made for one test."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@frozen
class Pair:
    """A certificate and its key, in PEM."""

    certificate: bytes
    key: bytes

    def server_tls(self, folder: Path, client_roots: bytes | None = None) -> ssl.SSLContext:
        """A server's side of TLS, which wants a client certificate where roots are given."""
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        file = folder / "server.pem"
        file.write_bytes(self.certificate + self.key)
        tls.load_cert_chain(file)
        if client_roots is not None:
            tls.verify_mode = ssl.CERT_REQUIRED
            tls.load_verify_locations(cadata=client_roots.decode())
        return tls


class Authority:
    """A certificate authority."""

    def __init__(self, name: str = "authority") -> None:
        self._name = _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = _pem(self._signed(self._name, self._key, None))

    def issue(self, name: str, *places: str) -> Pair:
        """A certificate for a client of this name, or for a server at these places."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(_name(name), key, places)
        return Pair(
            _pem(certificate),
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )

    def _signed(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, places: tuple[str, ...] | None
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(places is None, None), critical=True)
        )
        if places:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_place(place) for place in places]), critical=False
            )
        return builder.sign(self._key, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _place(place: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(place))
    except ValueError:
        return x509.DNSName(place)
