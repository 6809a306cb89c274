"""TLS as Go's client does it: whom we trust, and the certificate we show. Keys stay in memory."""

import os
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from attrs import field, frozen

from overlayd.model.errors import KubeConfigError
from overlayd.model.text import shown

_CERTIFICATES = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.S)


@frozen
class Material:
    """What a TLS client is made of, as PEM."""

    roots: bytes | None = field(default=None, repr=False)  # None: the system's
    insecure: bool = False
    certificate: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)


def make_tls(material: Material) -> ssl.SSLContext:
    """Make a client of it.

    :raises KubeConfigError: it is not PEM, or certificate and key do not belong together.
    """
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    tls.set_alpn_protocols(["http/1.1"])
    tls.hostname_checks_common_name = False
    # An intermediate certificate that is given as a root is trusted, as in Go.
    tls.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if material.insecure:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    elif material.roots is None:
        tls.load_default_certs()
    else:
        _trust(tls, material.roots)
    if material.certificate is not None and material.key is not None:
        _show(tls, material.certificate, material.key)
    return tls


def _trust(tls: ssl.SSLContext, roots: bytes) -> None:
    certificates = _CERTIFICATES.findall(roots)
    if not certificates:
        raise KubeConfigError("the certificate authority holds no PEM certificate")
    try:
        tls.load_verify_locations(cadata=b"\n".join(certificates).decode("ascii"))
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise KubeConfigError(
            f"the certificate authority cannot be used: {_reason(error)}"
        ) from None


def _show(tls: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    try:
        with _as_file(certificate) as certificate_file, _as_file(key) as key_file:
            # Without a password of ours OpenSSL would ask on the terminal for an encrypted key's.
            tls.load_cert_chain(certificate_file, key_file, password="")
    except (ssl.SSLError, ValueError) as error:
        raise KubeConfigError(
            f"the client certificate and key cannot be used: {_reason(error)}"
        ) from None


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """A name under which OpenSSL, which wants files, reads what is in memory alone."""
    descriptor = os.memfd_create("overlayd-tls", os.MFD_CLOEXEC)
    with open(descriptor, "wb") as memory:
        memory.write(content)
        memory.flush()
        yield f"/proc/self/fd/{descriptor}"


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return shown(str(error))
