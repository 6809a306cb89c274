"""Taking down what a pass made, on a real network stack with a real device."""

import os
import signal
import subprocess

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from lab import private
from lab.eventually import eventually
from overlayd.linux.network import Network
from overlayd.model.changes import EndDevice, RemoveLink
from overlayd.model.machine import ALIAS, PROTOCOL, Observed
from overlayd.passes import Work, run_pass
from overlayd.plan.result import Memory, Now
from overlayd.teardown import NOT_TRIED, TakenDown, take_down
from overlayd.testing.memory import MemoryDevice, MemoryTunnel
from overlayd.tunnel import uapi
from overlayd.tunnel.interface import ITunnel
from overlayd.tunnel.uapi_socket import UapiSocket
from overlayd.tunnel.userspace import UserspaceTunnel
from tests.machine.processes import LIMIT, Ending, kill, stop, tunnel_process
from tests.machine.stack import clean, ip, make_tunnel
from tests.machine.test_passes import INVENTORY, LINK, SETTINGS


class TeardownTests(SynchronousTestCase):
    """Each test starts with a machine that has nothing of ours."""

    skip = private.missing()

    def setUp(self) -> None:
        clean()
        self.network, self.tunnel = Network(), UserspaceTunnel(LINK)
        self.bare = self.network.observe()
        self.addCleanup(clean)

    def converge(self) -> None:
        now = Now(monotonic=100.0, wall=1_000_000.0)
        work = Work(INVENTORY, Memory(), now)
        result = run_pass(self.network, self.tunnel, SETTINGS, work)
        self.assertEqual(result.failures, ())

    def take_down(self, tunnel: ITunnel | None = None, link: str = LINK) -> TakenDown:
        return take_down(self.network, tunnel or self.tunnel, link, {})

    def failures(self, done: TakenDown) -> list[str]:
        return [outcome.error for outcome in done.outcomes if outcome.error is not None]

    def assertBare(self) -> None:
        self.assertEqual(_settled(self.network.observe()), _settled(self.bare))

    def test_all_of_it(self) -> None:
        """Device, process, routes and rules go; the sysctl stays; a second time finds nothing."""
        self.converge()
        with Ending(tunnel_process(LINK)):
            done = self.take_down()
        self.assertEqual((self.failures(done), done.error, done.foreign), ([], None, ()))
        self.assertBare()
        self.assertFalse(os.path.exists(UapiSocket(LINK).path))
        self.assertTrue(done.forwarding)
        self.assertTrue(self.network.observe().forwarding)
        self.assertEqual(self.take_down(), TakenDown((), (), forwarding=True))

    def test_by_marks_alone(self) -> None:
        """One who knows neither key nor networks finds it all, as after SIGKILL of the daemon."""
        self.converge()
        done = self.take_down(UserspaceTunnel(LINK))
        self.assertEqual((self.failures(done), done.error), ([], None))
        self.assertBare()

    def test_what_is_not_ours(self) -> None:
        """Another wireguard-go, and what others put beside ours, are as before."""
        subprocess.run(["wireguard-go", "other0"], check=True, capture_output=True)
        other = tunnel_process("other0")
        self.addCleanup(kill, other)
        ip(
            "link set other0 up",
            "route add 10.244.2.0/25 dev other0 proto static",
            "rule add to 10.244.9.0/24 lookup main protocol static",
        )
        self.bare = self.network.observe()
        before = ip("rule show")
        self.converge()
        self.take_down()
        self.assertBare()
        self.assertEqual(ip("rule show"), before)
        self.assertEqual(tunnel_process("other0"), other)
        self.assertIsNotNone(UapiSocket("other0").ask(uapi.GET))

    def test_foreign_link(self) -> None:
        """A link of our name that is not ours stays with its process, and is named."""
        subprocess.run(["wireguard-go", LINK], check=True, capture_output=True)
        ip(f"addr add 192.0.2.1/24 dev {LINK}", f"route add 10.9.0.0/24 dev lo proto {PROTOCOL}")
        other = tunnel_process(LINK)
        self.addCleanup(kill, other)
        done = self.take_down()
        self.assertEqual((self.failures(done), done.foreign), ([], (f"the link {LINK}",)))
        self.assertEqual(tunnel_process(LINK), other)
        self.assertFalse([r for r in self.network.observe().routes if r.protocol == PROTOCOL])

    def test_process_that_is_stopped(self) -> None:
        """A process that does not answer loses its link, and is named; once it goes on it ends."""
        self.converge()
        pid = tunnel_process(LINK)
        stop(pid)
        done = self.take_down()
        self.assertIn("does not answer", done.error or "")
        self.assertEqual(self.failures(done), [])
        self.assertBare()
        with Ending(pid):
            os.kill(pid, signal.SIGCONT)
        self.assertEqual(self.take_down(), TakenDown((), (), forwarding=True))

    def test_link_that_outlives_its_tunnel(self) -> None:
        """A link that is still there when its tunnel ended is removed, before the rules are."""
        make_tunnel(LINK)
        ip(f"link set {LINK} alias {ALIAS}")
        done = self.take_down(MemoryTunnel(MemoryDevice()))
        self.assertEqual(
            [type(outcome.change) for outcome in done.outcomes], [EndDevice, RemoveLink]
        )
        self.assertBare()

    def test_link_that_does_not_go(self) -> None:
        """As long as something of ours is left the rules stay, and keep traffic in."""
        self.converge()
        with Ending(tunnel_process(LINK)):
            ip(f"link del {LINK}", f"link set lo alias {ALIAS}")
        self.addCleanup(ip, "link set lo alias ''")
        rules = ip("rule show")
        done = self.take_down(link="lo", tunnel=MemoryTunnel())
        refused, *not_tried = self.failures(done)
        self.assertIn("not supported", refused)
        self.assertEqual(not_tried, [NOT_TRIED] * 4)
        self.assertEqual(ip("rule show"), rules)

    def test_tunnel_of_another_network_namespace(self) -> None:
        """One that answers under our name and has no link here is named, and answers on."""
        other = subprocess.Popen(["unshare", "--net", "sleep", "60"])
        self.addCleanup(other.wait)
        self.addCleanup(other.kill)
        there = ["nsenter", "-t", str(other.pid), "--net"]
        eventually(LIMIT, "it is apart", lambda: not _same_network(other.pid))
        subprocess.run([*there, "wireguard-go", LINK], check=True, capture_output=True)
        done = self.take_down()
        self.assertEqual((self.failures(done), done.error), ([], None))
        self.assertIn(f"a process that answers for {LINK}", done.foreign[0])
        self.assertIsNotNone(UapiSocket(LINK).ask(uapi.GET))
        subprocess.run([*there, "ip", "link", "del", LINK], check=True)


def _settled(observed: Observed) -> Observed:
    """Without what the kernel does by itself, and what stays."""
    v4 = frozenset(r for r in observed.routes if r.destination.version == 4)
    return evolve(observed, addresses=frozenset(), routes=v4, forwarding=True)


def _same_network(pid: int) -> bool:
    return os.path.samefile(f"/proc/{pid}/ns/net", "/proc/self/ns/net")
