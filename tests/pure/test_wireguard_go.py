"""What a person reads when wireguard-go does not start."""

import os

from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.errors import TunnelError
from overlayd.tunnel.wireguard_go import explained, start

BOX = "┌───────┐\n│ Running wireguard-go is not required │\n└───────┘\n"


class StartTests(SynchronousTestCase):
    def test_not_installed(self) -> None:
        """Where the program is missing, the error says how to install it."""
        before = os.environ["PATH"]
        self.addCleanup(os.environ.__setitem__, "PATH", before)
        os.environ["PATH"] = "/nonexistent"
        error = self.assertRaises(TunnelError, start, "wg0")
        self.assertIn("apt-get install wireguard-go", str(error))

    def test_explained(self) -> None:
        """What it printed is kept, without its box and its time, and says what to do."""
        for reason, hint in (
            ('CreateTUN("wg0") failed; /dev/net/tun does not exist', "modprobe tun"),
            ("operation not permitted", "CAP_NET_ADMIN"),
            ("invalid argument", "another kind is in the way"),
        ):
            said = f"{BOX}ERROR: (wg0) 2026/01/02 03:04:05 Failed to create TUN device: {reason}\n"
            text = explained("wg0", 1, said)
            self.assertTrue(
                text.startswith(f"wireguard-go wg0: Failed to create TUN device: {reason}"), text
            )
            self.assertIn(hint, text)
            self.assertEqual(len(text.splitlines()), 1)

    def test_unexplained(self) -> None:
        """Where it said nothing that we know, the exit status is told."""
        self.assertEqual(explained("wg0", 2, BOX), "wireguard-go wg0: exit status 2")
