"""A certificate authority of our own, and the key that tokens are signed with."""

import base64
import datetime
import json
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

_OID = x509.NameOID
_NAME = x509.Name([x509.NameAttribute(_OID.COMMON_NAME, "lab")])
LEEWAY = 60
"""Seconds that a server takes a token beyond the time that is written in it."""

_NOT_SIGNED = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "encipher_only", "decipher_only"),
)
_SIGNS = x509.KeyUsage(key_cert_sign=True, crl_sign=True, **dict.fromkeys(_NOT_SIGNED, False))

_DAY = datetime.timedelta(days=1)


class Authority:
    """Signs certificates, all in one folder. `certificate` is the file that who trusts it reads."""

    def __init__(self, folder: Path) -> None:
        self.certificate = folder / "ca.crt"
        self._issued: dict[str, tuple[str, Sequence[str], Sequence[str]]] = {}
        self.renew()

    def renew(self) -> None:
        """Be another CA, with new certificates and keys in the files of the old ones."""
        self._key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(_NAME, self._key, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_SIGNS, critical=True)
        )
        write(self.certificate, _pem(builder.sign(self._key, hashes.SHA256())))
        for file, owner in self._issued.items():
            self.issue(file, *owner)

    def issue(
        self, file: str, name: str, groups: Sequence[str] = (), hosts: Sequence[str] = ()
    ) -> tuple[Path, Path]:
        """Write FILE.crt and FILE.key and return both; `hosts` are what a server is called."""
        self._issued[file] = name, groups, hosts
        key = ec.generate_private_key(ec.SECP256R1())
        # Kubernetes takes the common name for the user, and the organizations for the groups.
        organizations = [x509.NameAttribute(_OID.ORGANIZATION_NAME, group) for group in groups]
        subject = x509.Name([*organizations, x509.NameAttribute(_OID.COMMON_NAME, name)])
        builder = _builder(subject, key, self._key)
        if hosts:
            names = x509.SubjectAlternativeName([_host(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        certificate_file = self.certificate.with_name(f"{file}.crt")
        key_file = self.certificate.with_name(f"{file}.key")
        write(key_file, _private_pem(key))
        write(certificate_file, _pem(builder.sign(self._key, hashes.SHA256())))
        return certificate_file, key_file


class TokenKey:
    """The pair of keys that the API server signs tokens with: files, and the same power here."""

    def __init__(self, folder: Path) -> None:
        self.public, self.private = folder / "tokens.pub", folder / "tokens.key"
        self._key = ec.generate_private_key(ec.SECP256R1())
        write(self.private, _private_pem(self._key))
        public = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        write(self.public, public)

    def expiring(self, token: str, at: float) -> str:
        """The same token, but taken until `at` (POSIX time): the server gives none under 10 min.

        One that was taken already the server takes for up to 10 s more, without looking.
        """
        header, claims, _ = token.split(".")
        document = json.loads(_decoded(claims))
        document["exp"] = int(at) - LEEWAY
        document["iat"] = document["nbf"] = min(document["iat"], document["exp"] - 1)
        signed = f"{header}.{_encoded(json.dumps(document).encode())}"
        r, s = utils.decode_dss_signature(
            self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
        )
        return f"{signed}.{_encoded(r.to_bytes(32) + s.to_bytes(32))}"


def claims_of(token: str) -> dict[str, Any]:
    """What a token says, unchecked."""
    claims: dict[str, Any] = json.loads(_decoded(token.split(".")[1]))
    return claims


def write(path: Path, content: bytes) -> None:
    """Write a file of mode 600, whole or not at all: who reads it may do so at any time."""
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.touch(0o600)
    unfinished.write_bytes(content)
    unfinished.replace(path)


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, issuer: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    """A certificate with the names of both keys in it, without which Python 3.13 trusts none."""
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(_NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False
        )
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
