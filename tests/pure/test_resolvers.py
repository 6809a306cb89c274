"""Reading resolv.conf(5)."""

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from overlayd.linux.resolvers import read_resolvers
from overlayd.model.errors import NetworkError

TEXT = """
# nameserver 192.0.2.1
search cluster.local
nameserver 10.96.0.10 and what follows
nameserver fe80::1%eth0
nameserver\t2001:db8::53
nameserver dns.example.com
nameserver
options ndots:5
"""


class ResolversTests(SynchronousTestCase):
    def test_addresses(self) -> None:
        """The addresses of name servers are found, and nothing else is taken for one."""
        path = Path(self.mktemp())
        path.write_text(TEXT)
        self.assertEqual(
            read_resolvers(path),
            {IPv4Address("10.96.0.10"), IPv6Address("fe80::1"), IPv6Address("2001:db8::53")},
        )

    def test_bytes_that_are_no_text(self) -> None:
        """A damaged line costs that line only."""
        path = Path(self.mktemp())
        path.write_bytes(b"nameserver \xff\xfe\nnameserver 10.96.0.10\n")
        self.assertEqual(read_resolvers(path), {IPv4Address("10.96.0.10")})

    def test_no_file(self) -> None:
        """A machine without the file has no name servers."""
        self.assertEqual(read_resolvers(Path(self.mktemp())), frozenset())

    def test_unreadable(self) -> None:
        """What is there and cannot be read is an error, not an empty list."""
        path = Path(self.mktemp())
        path.mkdir()
        self.assertRaises(NetworkError, read_resolvers, path)
