"""Whole passes where the kernel has WireGuard: which kind is made, kept, adopted and taken down."""

import contextlib
import subprocess

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from lab import private
from overlayd.linux.network import Network
from overlayd.model.changes import AddAddress, EndDevice, GiveKey, MakeDevice, RemovePeer
from overlayd.model.keys import PublicKey
from overlayd.model.machine import ALIAS, Device
from overlayd.model.settings import TunnelKind
from overlayd.model.status import StateName
from overlayd.passes import PassResult, Work, run_pass
from overlayd.plan.result import Memory, Now
from overlayd.teardown import take_down
from overlayd.tunnel.chosen import ChosenTunnel
from overlayd.tunnel.kernel_device import kernel_has_wireguard
from tests.kernel.case import NO_WIREGUARD
from tests.machine.processes import Ending, kill, tunnel_process
from tests.machine.stack import clean, ip
from tests.machine.test_passes import INVENTORY, LINK, SETTINGS

NOW = Now(monotonic=100.0, wall=1_000_000.0)
B = PublicKey(b"b" * 32)


class KernelPasses(SynchronousTestCase):
    """Each test starts and ends with a machine that has nothing of ours."""

    skip = private.missing() or (None if kernel_has_wireguard() else NO_WIREGUARD)

    def setUp(self) -> None:
        clean()
        self.network = Network()
        self.bare = self.network.observe()
        self.restart()
        self.addCleanup(self.clear)

    def clear(self) -> None:
        with contextlib.suppress(LookupError):
            kill(tunnel_process(LINK))
        clean()

    def restart(self, wanted: TunnelKind = TunnelKind.AUTO, adopt: bool = False) -> None:
        """Begin as a daemon that has just started."""
        self.settings = evolve(SETTINGS, tunnel=wanted, adopt=adopt)
        self.tunnel = ChosenTunnel(LINK, wanted)
        self.memory = Memory()

    def run_pass(self) -> PassResult:
        result = run_pass(
            self.network, self.tunnel, self.settings, Work(INVENTORY, self.memory, NOW)
        )
        self.memory = result.plan.memory
        return result

    def converge(self) -> PassResult:
        """The pass that finds nothing left to do."""
        self.assertEqual(self.run_pass().failures, ())
        result = self.run_pass()
        self.assertEqual((result.plan.state, result.outcomes), (None, ()))
        return result

    def kind(self) -> str:
        link = self.network.observe().links.get(LINK)
        return link.kind if link is not None else "none"

    def start_wireguard_go(self) -> None:
        subprocess.run(["wireguard-go", LINK], check=True, capture_output=True)

    # --- which kind ---

    def test_auto_makes_the_kernels(self) -> None:
        """With `auto` the device is the kernel's, whole after one pass, and found by the next."""
        result = self.converge()
        self.assertEqual((self.kind(), self.tunnel.name), ("wireguard", "kernel"))
        device = result.observed.device
        assert device is not None
        self.assertEqual(set(device.peers), {B})
        self.restart()
        again = self.run_pass()
        self.assertEqual((again.outcomes, again.public_key), ((), result.public_key))

    def test_auto_keeps_what_is_there(self) -> None:
        """A wireguard-go of ours stays, over restarts of the daemon and over its own end."""
        self.restart(TunnelKind.USERSPACE)
        key = self.converge().public_key
        self.restart()
        self.assertEqual(self.run_pass().outcomes, ())
        kill(tunnel_process(LINK))
        self.assertEqual(self.converge().public_key, key)
        self.assertEqual((self.kind(), self.tunnel.name), ("tun", "userspace (wireguard-go)"))
        tunnel_process(LINK)

    def test_auto_remakes_the_kernels(self) -> None:
        """A device of the kernel that someone deleted is made again, with its key."""
        key = self.converge().public_key
        ip(f"link del {LINK}")
        self.assertEqual(self.converge().public_key, key)
        self.assertEqual(self.kind(), "wireguard")

    def test_changing_the_kind_is_a_teardown(self) -> None:
        """A device of the other kind is left as it is until it is taken down, both ways."""
        for first, second in (
            (TunnelKind.USERSPACE, TunnelKind.KERNEL),
            (TunnelKind.KERNEL, TunnelKind.USERSPACE),
        ):
            self.restart(first)
            self.converge()
            was = self.network.observe()
            self.restart(second)
            result = self.run_pass()
            assert result.plan.state is not None
            self.assertIs(result.plan.state.name, StateName.OTHER_TUNNEL)
            self.assertEqual(result.outcomes, ())
            self.assertEqual(self.network.observe(), was)
            done = take_down(self.network, self.tunnel, LINK, {})
            self.assertEqual([o.error for o in done.outcomes if o.error], [])
            self.restart(second)
            self.converge()
            kinds = {TunnelKind.KERNEL: "wireguard", TunnelKind.USERSPACE: "tun"}
            self.assertEqual(self.kind(), kinds[second])
            take_down(self.network, self.tunnel, LINK, {})

    def test_the_other_kind_by_hand(self) -> None:
        """A kernel device put in the place of a wireguard-go that ended has the key in memory."""
        self.restart(TunnelKind.USERSPACE)
        key = self.converge().public_key
        self.restart()
        self.run_pass()
        kill(tunnel_process(LINK))
        ip(f"link add {LINK} type wireguard")
        self.assertEqual(self.converge().public_key, key)
        self.assertEqual(self.kind(), "wireguard")

    # --- what is not ours ---

    def test_foreign(self) -> None:
        """A kernel device with a key of its own is left alone and named."""
        self.made_by_wg_init()
        was = self.network.observe()
        for wanted in (TunnelKind.AUTO, TunnelKind.KERNEL, TunnelKind.USERSPACE):
            self.restart(wanted)
            result = self.run_pass()
            assert result.plan.state is not None
            self.assertIs(result.plan.state.name, StateName.FOREIGN_DEVICE)
            self.assertEqual(self.network.observe(), was)
            done = take_down(self.network, self.tunnel, LINK, {})
            self.assertEqual(done.foreign, (f"the link {LINK}",))
            self.assertEqual(self.network.observe(), was)

    def test_adopted(self) -> None:
        """What wg-init made is taken over: the same device with key, address and peers."""
        self.made_by_wg_init()
        before = self.device()
        index = self.network.observe().links[LINK].index
        self.restart(adopt=True)
        result = self.run_pass()
        self.assertEqual(result.failures, ())
        made = [o.change for o in result.outcomes]
        harmful = (MakeDevice, EndDevice, GiveKey, RemovePeer, AddAddress)
        self.assertEqual([c for c in made if isinstance(c, harmful)], [])
        self.assertEqual(self.run_pass().outcomes, ())
        link = self.network.observe().links[LINK]
        self.assertEqual((link.index, link.alias), (index, ALIAS))
        self.assertEqual(self.device().public_key, before.public_key)
        self.assertEqual(self.device().peers[B].allowed_ips, before.peers[B].allowed_ips)

    def made_by_wg_init(self) -> None:
        """The device as wg-overlay's init container and controller make it."""
        overlay, pods = SETTINGS.networks
        ip(f"link add {LINK} type wireguard")
        secret = subprocess.run(["wg", "genkey"], check=True, capture_output=True).stdout
        by_hand("private-key", "/dev/stdin", "listen-port", "51820", given=secret)
        ip(
            f"addr add 100.64.0.11/32 dev {LINK}",
            f"link set {LINK} up",
            f"route add {overlay} dev {LINK}",
            f"route add {pods} dev {LINK}",
        )
        of_b = ("endpoint", "172.30.0.12:51820", "allowed-ips", "10.244.2.0/24,100.64.0.12/32")
        by_hand("peer", str(B), *of_b)

    def device(self) -> Device:
        device = ChosenTunnel(LINK, TunnelKind.AUTO).observe()
        assert device is not None
        return device

    # --- taking it down ---

    def test_taken_down(self) -> None:
        """The device goes with all that is ours, also by one who knows neither its key nor kind."""
        for tunnel in (None, ChosenTunnel(LINK, TunnelKind.USERSPACE)):
            self.restart()
            self.converge()
            done = take_down(self.network, tunnel or self.tunnel, LINK, {})
            self.assertEqual([o.error for o in done.outcomes if o.error], [])
            self.assertEqual((done.error, done.foreign), (None, ()))
            after = self.network.observe()
            self.assertEqual((after.links, after.rules), (self.bare.links, ()))

    def test_taken_down_beside_a_process(self) -> None:
        """A wireguard-go that was taken down is gone, process and all, on such a kernel too."""
        self.restart(TunnelKind.USERSPACE)
        self.converge()
        with Ending(tunnel_process(LINK)):
            done = take_down(self.network, ChosenTunnel(LINK, TunnelKind.AUTO), LINK, {})
        self.assertEqual([o.error for o in done.outcomes if o.error], [])
        self.assertEqual(self.kind(), "none")


def by_hand(*words: str, given: bytes = b"") -> None:
    subprocess.run(["wg", "set", LINK, *words], check=True, input=given)
