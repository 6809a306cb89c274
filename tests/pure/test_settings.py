"""What the options alone show to be wrong."""

from ipaddress import IPv4Network, ip_address
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.errors import SettingsError
from overlayd.model.settings import Settings


class SettingsTests(SynchronousTestCase):
    def refused(self, value: str, **options: Any) -> None:
        """The settings are refused in one line that repeats the value."""
        with self.assertRaises(SettingsError) as caught:
            Settings(node_name="a", **options)
        self.assertIn(value, str(caught.exception))
        self.assertNotIn("\n", str(caught.exception))

    def test_defaults(self) -> None:
        """The defaults are wg-overlay's."""
        settings = Settings(node_name="a")
        self.assertEqual(
            (settings.wg_dev, settings.listen_port, *map(str, settings.networks)),
            ("wg0", 51820, "100.64.0.0/16", "10.244.0.0/16"),
        )

    def test_link_names(self) -> None:
        """Names that the kernel would refuse, or that it would expand, are refused."""
        for name in ("", ".", "..", "-f", "a/b", "a b", "wg%d", "a:b", "x" * 16, "\x07"):
            self.refused(repr(name), wg_dev=name)

    def test_ports_and_mtu(self) -> None:
        """Numbers outside their range are refused."""
        self.refused("0", listen_port=0)
        self.refused("65536", listen_port=65536)
        self.refused("575", mtu=575)

    def test_networks(self) -> None:
        """Networks that overlap each other, or that hosts cannot have, are refused."""
        pods = (IPv4Network("10.0.0.0/8"), IPv4Network("10.244.0.0/16"))
        self.refused("10.244.0.0/16", pods=pods)
        self.refused("100.64.3.0/24", pods=(IPv4Network("100.64.3.0/24"),))
        self.refused("0.0.0.0/0", pods=(IPv4Network("0.0.0.0/0"),))
        self.refused("224.0.0.0/8", overlay=IPv4Network("224.0.0.0/8"))
        self.refused("127.0.0.0/8", overlay=IPv4Network("127.0.0.0/8"))

    def test_node_ip(self) -> None:
        """Our address cannot lie in what goes through the tunnel, nor be one nobody can dial."""
        self.refused("100.64.0.9", node_ip=ip_address("100.64.0.9"))
        self.refused("10.244.1.1", node_ip=ip_address("10.244.1.1"))
        self.refused("127.0.0.1", node_ip=ip_address("127.0.0.1"))
        self.refused("::", node_ip=ip_address("::"))
