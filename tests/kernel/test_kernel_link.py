"""The link behind a device of the kernel: made, found, moved, in the way."""

import subprocess
import sys
import time
from itertools import islice

from overlayd.model.changes import (
    GiveKey,
)
from overlayd.model.errors import TunnelError
from overlayd.tunnel.by_request import link_exists
from overlayd.tunnel.kernel import KernelTunnel
from tests.kernel.case import END, MAKE, RealCase, ip, new_peers, shown
from tests.tunnel_contract.case import WHY, A, B, add

OUTCOMES = """
from overlayd.model.changes import GiveKey, MakeDevice
from overlayd.tunnel.kernel import KernelTunnel
for outcome in KernelTunnel("wg0").apply([MakeDevice("wg0", "")]):
    print(outcome.error)
"""
"""A process that says how making a device went."""


class LinkTests(RealCase):
    """The link behind the device: made, found, moved, in the way."""

    def test_kind(self) -> None:
        """What is made is a link of kind wireguard, down, and gone when it is ended."""
        tunnel = self.make_tunnel()
        self.done(tunnel, MAKE)
        self.assertIn("wireguard", shown("link", "show", "wg0"))
        self.assertNotIn("UP", shown("link", "show", "wg0").partition(">")[0])
        self.done(tunnel, END)
        self.assertFalse(link_exists("wg0"))

    def test_link_in_the_way(self) -> None:
        """A link of that name and another kind is no device, is left alone and named."""
        ip("link", "add", "wg0", "type", "veth", "peer", "name", "other")
        tunnel = self.make_tunnel()
        self.assertIsNone(tunnel.observe())
        (made,) = tunnel.apply([MAKE])
        self.assertIn("another kind is in the way", made.error or "")
        (added,) = tunnel.apply([add(A)])
        self.assertIn("no WireGuard device wg0", added.error or "")
        self.done(tunnel, END)
        self.assertTrue(link_exists("wg0"))

    def test_another_network_namespace(self) -> None:
        """A device that was moved to another namespace is gone from here, and left alone there."""
        tunnel = self.made(add(A, "10.244.1.0/24"))
        key = self.key(tunnel)
        ip("netns", "add", "theirs")
        self.addCleanup(ip, "netns", "del", "theirs")
        ip("link", "set", "wg0", "netns", "theirs")
        self.assertIsNone(tunnel.observe())
        self.done(tunnel, MAKE, GiveKey(WHY), add(B, "10.244.2.0/24"))
        self.assertPeers(tunnel, "b: 10.244.2.0/24")
        there = subprocess.run(
            ["ip", "netns", "exec", "theirs", "wg", "show", "wg0", "peers"],
            check=True,
            capture_output=True,
            text=True,
        )
        self.assertEqual((there.stdout.split(), self.key(tunnel)), ([str(A)], key))

    def test_ended_with_many_peers(self) -> None:
        """A device is emptied before it is deleted, which takes a fraction of the time."""
        changes = [*islice(new_peers(), 400)]
        took = []
        for emptied in (True, False):
            tunnel = self.made(*changes)
            ip("link", "set", "wg0", "up")
            began = time.monotonic()
            if emptied:
                self.done(tunnel, END)
            else:
                ip("link", "del", "wg0")
            took.append(time.monotonic() - began)
            self.assertFalse(link_exists("wg0"))
        self.assertLess(took[0], took[1])

    def test_no_permission(self) -> None:
        """Without the capability the error names it, for making a device and for reading one."""
        drop = ("setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin")
        self.assertIn("CAP_NET_ADMIN", said_by(*drop))
        self.made()
        self.assertIn("CAP_NET_ADMIN", said_by(*drop))

    def test_interrupted(self) -> None:
        """A tunnel that was interrupted asks nothing more, and the device stays as it is."""
        tunnel = KernelTunnel("wg0")
        self.done(tunnel, MAKE)
        tunnel.interrupt()
        self.assertIn("interrupted", str(self.assertRaises(TunnelError, tunnel.observe)))
        for outcome in tunnel.apply([add(A), END]):
            self.assertIn("interrupted", outcome.error or "")
        self.assertEqual(len(self.device(self.make_tunnel()).peers), 0)


def said_by(*command: str) -> str:
    """What making a device under a command ends with."""
    done = subprocess.run(
        [*command, sys.executable, "-c", OUTCOMES], capture_output=True, text=True, timeout=60
    )
    return (done.stdout + done.stderr).strip().splitlines()[-1]
