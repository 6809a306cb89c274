"""Which proxy the environment asks for."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from overlayd.kube.config.proxies import proxy_from_environment
from overlayd.kube.config.urls import Url
from overlayd.model.errors import KubeConfigError

PROXY = {"HTTPS_PROXY": "http://proxy:3128"}

DIRECT = (
    ("kube.example", "kube.example"),
    ("kube.example", "other, KUBE.example ,"),
    ("kube.example", "example"),
    ("kube.example", ".example"),
    ("kube.example", "*.example"),
    ("kube.example", "kube.example:6443"),
    ("kube.example.", "kube.example"),
    ("kube.example", "*"),
    ("10.1.2.3", "10.0.0.0/8"),
    ("10.1.2.3", "10.1.2.3"),
    ("10.1.2.3", "10.1.2.3:6443"),
    ("fd00::1", "fd00:0::/16"),
    ("fd00::1", "fd00:0::1"),
    ("fd00::1", "[fd00::1]:6443"),
    ("localhost", ""),
    ("127.9.9.9", ""),
    ("::1", ""),
)

PROXIED = (
    ("kube.example", ""),
    ("kube.example", "xample"),
    ("kube.example", ".kube.example"),
    ("kube.example", "kube.example:443"),
    ("10.1.2.3", "10.2.0.0/16"),
    ("10.1.2.3", "10.1.2"),
    ("10.1.2.3", "10.1.2.3/99"),
    ("fd00::1", "10.0.0.0/8,fd00::2"),
)


class EnvironmentTests(SynchronousTestCase):
    def test_no_proxy(self) -> None:
        """NO_PROXY lists names, suffixes, addresses and networks, with or without a port."""
        for host, listed in DIRECT:
            server = Url("https", host, 6443)
            found = proxy_from_environment(server, {**PROXY, "NO_PROXY": listed})
            self.assertIs(found, None, f"{host} {listed}")
        for host, listed in PROXIED:
            server = Url("https", host, 6443)
            found = proxy_from_environment(server, {**PROXY, "no_proxy": listed})
            self.assertEqual(found, Url("http", "proxy", 3128), f"{host} {listed}")

    def test_which_variable(self) -> None:
        """The scheme of the server decides which variable counts; upper case goes first."""
        environ = {"HTTPS_PROXY": "a", "https_proxy": "b", "http_proxy": "c:1", "ALL_PROXY": "d"}
        found = [
            str(proxy_from_environment(Url(scheme, "kube", 6443), environ))
            for scheme in ("https", "http")
        ]
        self.assertEqual(found, ["http://a:80", "http://c:1"])
        self.assertIs(proxy_from_environment(Url("https", "kube", 1), {"ALL_PROXY": "d"}), None)

    @given(st.text(), st.text(), st.text())
    def test_any_text(self, host: str, proxy: str, listed: str) -> None:
        """Whatever the variables hold, there is a proxy, none, or an error of one line."""
        environ = {"HTTPS_PROXY": proxy, "NO_PROXY": listed}
        try:
            proxy_from_environment(Url("https", host, 6443), environ)
        except KubeConfigError as error:
            self.assertTrue(str(error).isprintable(), str(error))
