"""Connections to the API server: over IPv6, noticed when they are dead, ended while they begin."""

import socket
import threading
from ipaddress import ip_address
from unittest import SkipTest

from overlayd.kube.abort import Abort
from overlayd.kube.config.access import find_access
from overlayd.kube.nodes import NodeSession, Report
from overlayd.kube.transport.api import ApiServer
from overlayd.kube.transport.dial import dial
from overlayd.model.errors import Unreachable
from overlayd.model.node import Inventory
from overlayd.plan.resume import Attempt, How, Step
from overlayd.testing.apiserver.process import ServerFailed, development_server
from tests.services.api_parts import ReachingTestCase, kubeconfig
from tests.services.scripted import SETTINGS


class DialTests(ReachingTestCase):
    def test_keepalive(self) -> None:
        """The kernel itself finds out within 75 s that nobody is there, also while we only read."""
        wire, _ = dial("127.0.0.1", self.server.port, Abort())
        self.addCleanup(wire.close)
        self.assertTrue(wire.socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        idle, between, count = (
            wire.socket.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        )
        self.assertLessEqual(idle + between * count, 75)
        unacknowledged = wire.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        self.assertEqual(unacknowledged, 30_000)

    def test_abort_while_resolving(self) -> None:
        """An abort ends at once the wait for a name that does not resolve."""
        asked, release, abort = threading.Event(), threading.Event(), Abort()
        self.addCleanup(release.set)

        def resolver(host: str, port: int) -> list[tuple[int, tuple[object, ...]]]:
            asked.set()
            release.wait()
            return []

        failure = self.in_thread(lambda: dial("api.invalid", 443, abort, resolver))
        self.assertTrue(asked.wait(10))
        abort.abort()
        self.assertIsInstance(failure(), Unreachable)

    def test_literal(self) -> None:
        """An address is no name: no resolver that may hang is asked."""

        def resolver(host: str, port: int) -> list[tuple[int, tuple[object, ...]]]:
            raise AssertionError(host)

        wire, resolved = dial("127.0.0.1", self.server.port, Abort(), resolver)
        wire.close()
        self.assertEqual(resolved, {ip_address("127.0.0.1")})


class Ipv6Tests(ReachingTestCase):
    def test_list_and_watch(self) -> None:
        """A server on IPv6 is reached, trusted and watched, and said to be where it is."""
        pair = self.authority.issue("server", "::1")
        certificate, key = self.write("cert", pair.certificate), self.write("key", pair.key)
        context = development_server(
            *("--nodes", "3", "--tls-cert", str(certificate), "--tls-key", str(key)),
            listen="[::1]:0",
        )
        try:
            server = context.__enter__()
        except ServerFailed as failed:
            raise SkipTest(f"no IPv6 on this machine: {failed}") from None
        self.addCleanup(context.__exit__, None, None, None)
        config = self.write("config", kubeconfig(server.url, self.trusting))
        session = NodeSession(ApiServer(find_access(None, str(config), {})), SETTINGS)
        reports: list[Report] = []
        listed = session.run(Attempt(Step.STREAM), None, 300, reports.append)
        self.assertEqual(listed.how, How.LISTED)
        (found,) = reports
        assert isinstance(found, Inventory)
        self.assertEqual((len(found.nodes), found.servers), (3, {ip_address("::1")}))
        server.fault("end-watches")
        watched = session.run(Attempt(Step.WATCH, listed.version), found, 300, reports.append)
        self.assertEqual(watched.how, How.ENDED)
