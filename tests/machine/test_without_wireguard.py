"""A kernel that has no WireGuard: what is chosen, and what is said where the kernel's is wanted."""

import contextlib

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from lab import private
from overlayd.linux.network import Network
from overlayd.model.changes import AddRule, GiveKey, MakeDevice
from overlayd.model.settings import TunnelKind
from overlayd.passes import PassResult, Work, run_pass
from overlayd.plan.result import Memory
from overlayd.tunnel.chosen import ChosenTunnel
from overlayd.tunnel.kernel import KernelTunnel
from overlayd.tunnel.kernel_device import NO_WIREGUARD, kernel_has_wireguard
from tests.machine.processes import kill, tunnel_process
from tests.machine.stack import clean
from tests.machine.test_passes import INVENTORY, LINK, NOW, SETTINGS
from tests.tunnel_contract.case import WHY, A, add


class WithoutWireguardTests(SynchronousTestCase):
    """Each test starts and ends with a machine that has nothing of ours."""

    skip = private.missing() or (
        "needs a kernel without WireGuard: this one has it" if kernel_has_wireguard() else None
    )

    def setUp(self) -> None:
        clean()
        self.addCleanup(self.clear)

    def clear(self) -> None:
        with contextlib.suppress(LookupError):
            kill(tunnel_process(LINK))
        clean()

    def run_pass(self, wanted: TunnelKind) -> PassResult:
        tunnel = ChosenTunnel(LINK, wanted)
        settings = evolve(SETTINGS, tunnel=wanted)
        return run_pass(Network(), tunnel, settings, Work(INVENTORY, Memory(), NOW))

    def test_said_in_one_line(self) -> None:
        """The kernel's tunnel sees no device, and says what is missing and both ways out."""
        tunnel = KernelTunnel(LINK)
        self.assertIsNone(tunnel.observe())
        outcomes = tunnel.apply([MakeDevice(LINK, WHY), GiveKey(WHY), add(A)])
        self.assertEqual([o.error for o in outcomes], [NO_WIREGUARD] * 3)
        self.assertIn("modprobe wireguard", NO_WIREGUARD)
        self.assertIn("--tunnel userspace", NO_WIREGUARD)
        self.assertNotIn("\n", NO_WIREGUARD)

    def test_auto(self) -> None:
        """With `auto` the device is wireguard-go's, and stays so."""
        self.assertEqual(self.run_pass(TunnelKind.AUTO).failures, ())
        tunnel_process(LINK)
        self.assertEqual(self.run_pass(TunnelKind.AUTO).outcomes, ())

    def test_kernel(self) -> None:
        """With `kernel` no other device is made; what keeps traffic in is made all the same."""
        result = self.run_pass(TunnelKind.KERNEL)
        outcomes = {type(o.change): o.error for o in result.outcomes}
        self.assertEqual(outcomes[MakeDevice], NO_WIREGUARD)
        self.assertIsNone(outcomes[AddRule])
        self.assertNotIn(LINK, Network().observe().links)
        self.assertRaises(LookupError, tunnel_process, LINK)
