"""The lab's certificate authority, as strict clients see it."""

import ssl
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from lab.kubernetes.authority import Authority


class AuthorityTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.authority = Authority(self.folder)

    def test_strict_client(self) -> None:
        """Its certificates are what RFC 5280 wants to the letter, as Python 3.13 does."""
        client = ssl.create_default_context(cafile=str(self.authority.certificate))
        client.verify_flags |= ssl.VERIFY_X509_STRICT
        self.authority.issue("serving", "kube-apiserver", hosts=["localhost"])
        self._shake_hands(client)

    def _shake_hands(self, client: ssl.SSLContext) -> None:
        """:raises ssl.SSLError: the client does not trust the server."""
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(self.folder / "serving.crt", self.folder / "serving.key")
        there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        asks = client.wrap_bio(back, there, server_hostname="localhost")
        answers = server.wrap_bio(there, back, server_side=True)
        for side in (asks, answers, asks, answers):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
        self.assertIsNotNone(asks.getpeercert())
