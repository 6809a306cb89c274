"""A whole pass on a real network stack with a real device."""

import os
import subprocess
from ipaddress import ip_address, ip_network

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from lab import private
from lab.eventually import eventually
from overlayd.linux.network import Network
from overlayd.model.changes import (
    AddRule,
    EnableForwarding,
    GiveKey,
    MakeDevice,
    MoveEndpoint,
    SetRoute,
)
from overlayd.model.keys import PublicKey
from overlayd.model.node import Inventory, Node
from overlayd.model.settings import Settings
from overlayd.model.status import StateName
from overlayd.passes import NOT_TRIED, PassResult, Reads, Work, preview, run_pass
from overlayd.plan.result import Memory, Now, Plan
from overlayd.tunnel.userspace import UserspaceTunnel
from tests.machine.processes import kill, stop, tunnel_process
from tests.machine.stack import ip
from tests.tunnel_contract.case import REFUSED

LINK = "pass0"
NOW = Now(monotonic=100.0, wall=1_000_000.0)
SETTINGS = Settings(node_name="a", wg_dev=LINK)
NOW = Now(monotonic=100.0, wall=1_000_000.0)
INVENTORY = Inventory(
    nodes={
        "a": Node(
            "a",
            address=ip_address("172.30.0.11"),
            pod_cidrs=(ip_network("10.244.1.0/24"),),
            pod_cidrs_text="10.244.1.0/24",
        ),
        "b": Node(
            "b",
            address=ip_address("172.30.0.12"),
            key=PublicKey(b"b" * 32),
            overlay_addresses=(ip_address("100.64.0.12"),),
            pod_cidrs=(ip_network("10.244.2.0/24"),),
        ),
    },
    changed=frozenset({"a", "b"}),
    resource_version="1",
)


class PassTests(SynchronousTestCase):
    """Each test starts and ends with a machine that has nothing of ours."""

    skip = private.missing()

    def setUp(self) -> None:
        self.network, self.tunnel = Network(), UserspaceTunnel(LINK)
        self.addCleanup(self.clear)

    def clear(self) -> None:
        try:
            kill(tunnel_process(LINK))
        except LookupError:
            if LINK in self.network.observe().links:
                ip(f"link del {LINK}")
        ip(*["rule del protocol 87"] * len(self.network.observe().rules))

    def run_pass(
        self,
        inventory: Inventory | None = INVENTORY,
        memory: Memory | None = None,
        settings: Settings = SETTINGS,
    ) -> PassResult:
        work = Work(inventory, memory or Memory(), NOW)
        return run_pass(self.network, self.tunnel, settings, work)

    def preview(self) -> Plan:
        return preview(self.network, self.tunnel, SETTINGS, Work(INVENTORY, Memory(), NOW))

    def test_one_pass_makes_everything(self) -> None:
        """The first pass makes all there is, and the second finds nothing to do."""
        first = self.run_pass()
        self.assertEqual(first.failures, ())
        self.assertTrue(first.sessions_lost)
        second = self.run_pass()
        self.assertEqual(second.outcomes, ())
        device = second.observed.device
        assert device is not None
        self.assertEqual(set(device.peers), {PublicKey(b"b" * 32)})
        self.assertEqual(second.public_key, device.public_key)

    def test_a_preview_is_what_a_pass_would_do(self) -> None:
        """A preview decides as the pass after it, and makes nothing of what it decides."""
        before = self.network.observe()
        told = self.preview()
        self.assertEqual(self.network.observe(), before)
        self.assertNotEqual(told.changes, ())
        self.assertEqual(told, self.run_pass().plan)
        ip(f"route del 10.244.0.0/16 dev {LINK}")
        told = self.preview()
        self.assertEqual(len(told.changes), 1)
        self.assertEqual(self.preview(), told)
        self.assertEqual(told, self.run_pass().plan)
        self.assertEqual(self.preview().changes, ())

    def test_a_preview_remembers_nothing(self) -> None:
        """A device that shows another key is taken for rotated by a pass, and by no preview."""
        ours = self.run_pass().public_key
        operator = UserspaceTunnel(LINK)
        operator.apply([GiveKey("rotated")])
        self.assertNotEqual(operator.remembered(), ours)
        self.preview()
        self.assertEqual(self.tunnel.remembered(), ours)
        self.assertEqual(self.run_pass().public_key, operator.remembered())

    def test_a_foreign_device_that_a_preview_saw(self) -> None:
        """A pass that reads nothing does not take for ours what a preview read in between."""
        self.run_pass()
        standing = self.run_pass().standing
        kill(tunnel_process(LINK))
        theirs = UserspaceTunnel(LINK)
        theirs.apply([MakeDevice(LINK, "test"), GiveKey("test")])
        self.preview()
        work = Work(INVENTORY, Memory(), NOW, standing, Reads.NOTHING)
        run_pass(self.network, self.tunnel, SETTINGS, work)
        result = self.run_pass()
        assert result.plan.state is not None, "it was taken over"
        self.assertIs(result.plan.state.name, StateName.FOREIGN_DEVICE)

    def test_what_failed_is_not_remembered(self) -> None:
        """An endpoint that the device refused is not the one that was configured last."""
        before = self.run_pass().plan.memory
        b = evolve(INVENTORY.nodes["b"], endpoint=REFUSED)
        result = self.run_pass(evolve(INVENTORY, nodes={**INVENTORY.nodes, "b": b}), before)
        self.assertEqual([type(o.change) for o in result.failures], [MoveEndpoint])
        self.assertEqual(result.plan.memory.endpoints, before.endpoints)

    def test_nothing_before_the_inventory(self) -> None:
        """Where nothing of ours exists, nothing is made before the inventory is read."""
        result = self.run_pass(None)
        self.assertEqual(result.outcomes, ())
        self.assertNotIn(LINK, self.network.observe().links)

    def test_repairs_without_an_inventory(self) -> None:
        """A device that vanished comes back with its key while no inventory is known."""
        key = self.run_pass().public_key
        kill(tunnel_process(LINK))
        result = self.run_pass(None)
        self.assertEqual(result.failures, ())
        self.assertEqual(result.public_key, key)

    def test_a_repair_of_the_network_alone(self) -> None:
        """It is read again before anything builds on it, and for that the tunnel is not asked."""
        self.run_pass()
        whole = self.run_pass()
        stop(tunnel_process(LINK))
        ip("rule del to 10.244.0.0/16 priority 5181", "route flush dev " + LINK)
        work = Work(INVENTORY, Memory(), NOW, whole.standing, Reads.NETWORK)
        repaired = run_pass(self.network, self.tunnel, SETTINGS, work)
        made = {type(outcome.change) for outcome in repaired.outcomes}
        self.assertEqual((repaired.error, made), (None, {AddRule, SetRoute}))
        work = evolve(work, standing=repaired.standing, reads=Reads.NOTHING)
        after = run_pass(self.network, self.tunnel, SETTINGS, work)
        self.assertEqual((after.error, after.outcomes), (None, ()))

    def test_foreign_device(self) -> None:
        """A device that is not ours stays as it is, and its key is not taken for ours later."""
        ip(f"tuntap add {LINK} mode tun", f"link set {LINK} alias somebody's")
        for _ in range(2):
            result = self.run_pass()
            assert result.plan.state is not None
            self.assertIs(result.plan.state.name, StateName.FOREIGN_DEVICE)
            self.assertEqual(result.outcomes, ())
            self.assertIsNone(result.public_key)

    def test_a_device_to_adopt(self) -> None:
        """Its key is not remembered before the plan says that the device is ours."""
        theirs = UserspaceTunnel(LINK)
        theirs.apply([MakeDevice(LINK, "test"), GiveKey("test")])
        ip(f"link set {LINK} up")
        adopt = evolve(SETTINGS, adopt=True)
        for inventory, settings in ((INVENTORY, SETTINGS), (None, adopt)):
            result = self.run_pass(inventory, settings=settings)
            self.assertEqual((result.outcomes, result.public_key), ((), None))
            self.assertIsNone(self.tunnel.remembered())
        result = self.run_pass(settings=adopt)
        self.assertEqual(result.failures, ())
        self.assertFalse(result.sessions_lost)
        self.assertEqual(result.public_key, theirs.remembered())
        self.assertEqual(self.run_pass(INVENTORY).outcomes, ())

    def test_without_wireguard_go(self) -> None:
        """Without a device rules and sysctls are made, and what needs one is not tried."""
        path = os.environ["PATH"]
        self.addCleanup(os.environ.__setitem__, "PATH", path)
        os.environ["PATH"] = "/nowhere"
        result = self.run_pass()
        os.environ["PATH"] = path
        for outcome in result.outcomes:
            if isinstance(outcome.change, AddRule | EnableForwarding):
                self.assertIsNone(outcome.error)
            elif isinstance(outcome.change, MakeDevice):
                self.assertIn("apt-get install wireguard-go", outcome.error or "")
            else:
                self.assertEqual(outcome.error, NOT_TRIED)
        self.assertEqual(len(self.network.observe().rules), 4)

    def test_a_tunnel_of_another_network_namespace(self) -> None:
        """One that answers under our name and has no link here is not ended, nor its key taken."""
        other = subprocess.Popen(["unshare", "--net", "sleep", "60"])
        self.addCleanup(other.wait)
        self.addCleanup(other.kill)
        there = ["nsenter", "-t", str(other.pid), "--net"]
        eventually(5, "it is apart", lambda: not _same_network(other.pid))
        subprocess.run([*there, "wireguard-go", LINK], check=True, capture_output=True)
        theirs = UserspaceTunnel(LINK)
        theirs.apply([GiveKey("test")])
        result = self.run_pass()
        self.assertNotEqual(result.failures, ())
        self.assertNotEqual(result.public_key, theirs.remembered())
        device = theirs.observe()
        assert device is not None
        self.assertEqual(device.public_key, theirs.remembered())
        subprocess.run([*there, "ip", "link", "del", LINK], check=True)


def _same_network(pid: int) -> bool:
    return os.path.samefile(f"/proc/{pid}/ns/net", "/proc/self/ns/net")
