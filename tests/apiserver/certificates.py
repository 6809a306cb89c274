"""A certificate of our own for 127.0.0.1, made on the spot."""

import datetime
from ipaddress import IPv4Address
from pathlib import Path
from unittest import SkipTest


def self_signed(folder: Path) -> tuple[str, str]:
    """Write `cert.pem` and `key.pem`, and return their paths.

    :raises SkipTest: what TLS in Twisted needs is not installed.
    """
    try:
        import OpenSSL
        import service_identity
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise SkipTest(f"TLS needs `pip install twisted[tls]`: {error}") from None
    del OpenSSL, service_identity
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "development API server")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = folder / "cert.pem", folder / "key.pem"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return str(certificate_path.resolve()), str(key_path.resolve())
