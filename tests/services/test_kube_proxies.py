"""Reaching the API server through proxies of every kind that kubectl knows."""

import base64
import socket
import ssl
import struct
import threading

from overlayd.kube.config.access import find_access
from overlayd.model.errors import KubeConfigError, Unreachable
from tests.services.api_parts import ReachingTestCase, kubeconfig


class Proxy:
    """A proxy that speaks HTTP (CONNECT and whole URLs) or SOCKS 5, and goes to `target` only."""

    def __init__(
        self, target: int, tls: ssl.SSLContext | None = None, socks: bool = False, status: int = 200
    ) -> None:
        self.asked: list[bytes] = []
        self._target, self._tls, self._socks, self._status = target, tls, socks, status
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.authority = f"127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._listening.accept()
                if self._tls is not None:
                    line = self._tls.wrap_socket(line, server_side=True)
            except OSError:
                return
            threading.Thread(
                target=self._socks_on if self._socks else self._http_on, args=[line], daemon=True
            ).start()

    def _http_on(self, line: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += line.recv(65536)
        self.asked.append(head)
        far = socket.create_connection(("127.0.0.1", self._target))
        if head.startswith(b"CONNECT"):
            line.sendall(b"HTTP/1.1 %d Said\r\n\r\n" % self._status)
        else:
            far.sendall(head)
        _join(line, far)

    def _socks_on(self, line: socket.socket) -> None:
        methods = line.recv(2 + 255)
        line.sendall(b"\x05" + methods[-1:])
        if methods[-1] == 2:
            self.asked.append(line.recv(600))
            line.sendall(b"\x01\x00")
        self.asked.append(line.recv(600))
        line.sendall(b"\x05\x00\x00\x01" + bytes(4) + struct.pack("!H", 9))
        _join(line, socket.create_connection(("127.0.0.1", self._target)))


def _join(one: socket.socket, other: socket.socket) -> None:
    def pour(source: socket.socket, sink: socket.socket) -> None:
        try:
            while piece := source.recv(65536):
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    threading.Thread(target=pour, args=(one, other), daemon=True).start()
    pour(other, one)


class ProxyTests(ReachingTestCase):
    def setUp(self) -> None:
        super().setUp()
        pair = self.authority.issue("server", "kube.example")
        self.server.tls = pair.server_tls(self.folder)
        self.url = "https://kube.example:6443"

    def proxy(self, **options: object) -> Proxy:
        proxy = Proxy(self.server.port, **options)  # type: ignore[arg-type]
        self.addCleanup(proxy.close)
        return proxy

    def through(self, proxy_url: str) -> int:
        cluster = {**self.trusting, "proxy-url": proxy_url}
        api = self.reach(kubeconfig(self.url, cluster))
        status = api.get("/version").status
        self.assertEqual({str(a) for a in api.addresses()}, {"127.0.0.1"})
        return status

    def test_connect(self) -> None:
        """proxy-url is asked for a tunnel to the server's name, with the URL's credentials."""
        proxy = self.proxy()
        self.assertEqual(self.through(f"http://me:p%40ss@{proxy.authority}"), 200)
        [asked] = proxy.asked
        self.assertTrue(asked.startswith(b"CONNECT kube.example:6443 HTTP/1.1\r\n"), asked)
        self.assertIn(b"Basic " + base64.b64encode(b"me:p@ss"), asked)

    def test_proxy_refuses(self) -> None:
        """A proxy that refuses is named, without the credentials that it was given."""
        proxy = self.proxy(status=407)
        error = self.assertRaises(Unreachable, self.through, f"http://me:secret@{proxy.authority}")
        self.assertIn(
            f"through the proxy http://{proxy.authority}: the proxy answered 407", str(error)
        )
        self.assertNotIn("secret", str(error))

    def test_connect_under_tls(self) -> None:
        """A proxy that is reached by TLS itself carries TLS within TLS."""
        tls = self.pair.server_tls(self.folder)
        proxy = self.proxy(tls=tls)
        self.assertEqual(self.through(f"https://{proxy.authority}"), 200)

    def test_socks(self) -> None:
        """A SOCKS proxy resolves the name of the server, with and without a login."""
        proxy = self.proxy(socks=True)
        for url in (f"socks5://{proxy.authority}", f"socks5h://u:pw@{proxy.authority}"):
            self.assertEqual(self.through(url), 200)
        wanted = b"\x05\x01\x00\x03\x0ckube.example" + struct.pack("!H", 6443)
        self.assertEqual(proxy.asked, [wanted, b"\x01\x01u\x02pw", wanted])

    def test_plain_server(self) -> None:
        """A server without TLS is asked for by its whole URL."""
        plain = self.serve()
        proxy = Proxy(plain.port)
        self.addCleanup(proxy.close)
        config = kubeconfig("http://kube.example/p", {"proxy-url": f"http://u:p@{proxy.authority}"})
        self.assertEqual(self.reach(config).get("/x").status, 200)
        self.assertIn(b"GET http://kube.example:80/p/x HTTP/1.1\r\n", proxy.asked[0])
        self.assertIn(b"Proxy-Authorization: Basic ", proxy.asked[0])

    def test_environment(self) -> None:
        """HTTPS_PROXY is used where the kubeconfig names none, unless NO_PROXY says otherwise."""
        proxy = self.proxy()
        environ = {"HTTPS_PROXY": proxy.authority}
        config = kubeconfig(self.url, self.trusting)
        self.assertEqual(self.reach(config, environ).get("/").status, 200)
        direct = self.reach(config, {**environ, "NO_PROXY": "other,.EXAMPLE"})
        self.assertRaises(Unreachable, direct.get, "/")
        self.assertEqual(len(proxy.asked), 1)

    def test_kubeconfig_before_environment(self) -> None:
        """proxy-url goes before the environment, NO_PROXY included."""
        proxy = self.proxy()
        cluster = {**self.trusting, "proxy-url": f"http://{proxy.authority}"}
        environ = {"HTTPS_PROXY": "127.0.0.1:1", "NO_PROXY": "*"}
        self.assertEqual(self.reach(kubeconfig(self.url, cluster), environ).get("/").status, 200)

    def test_no_proxy_for_this_machine(self) -> None:
        """A server on loopback is never reached through a proxy from the environment."""
        self.server.tls = self.pair.server_tls(self.folder)
        config = kubeconfig(self.server.url, self.trusting)
        api = self.reach(config, {"HTTPS_PROXY": "http://127.0.0.1:1"})
        self.assertEqual(api.get("/").status, 200)

    def test_nonsense(self) -> None:
        """A proxy that is none ends the start, without its text, which may hold a password."""
        for url in (
            "ftp://u:secret@h",
            "http://u:secret@",
            "http://u:secret@h:x",
            "http://[secret",
        ):
            config = self.write("c", kubeconfig(self.url, {"proxy-url": url}))
            error = self.assertRaises(KubeConfigError, find_access, None, str(config), {})
            self.assertNotIn("secret", str(error))
            self.assertIn("proxy-url names no proxy", str(error))
