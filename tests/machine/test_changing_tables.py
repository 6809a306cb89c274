"""Reading the network stack while others change it."""

import signal
import socket
import subprocess
import time
from ipaddress import IPv4Network
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from lab import private
from lab.namespaces import end
from overlayd.linux.reading import read_links, read_routes
from overlayd.netlink.conversation import Netlink
from overlayd.netlink.rtnetlink import messages
from tests.machine.stack import clean, ip

LINKS = 200
ROUTES = 3000
INTERRUPTED = 0x10  # linux/netlink.h: NLM_F_DUMP_INTR
ENOUGH = 5  # readings that the kernel marked
LIMIT = 60.0  # seconds for those

STAY = [f"10.{100 + n // 250}.{n % 250}.0/24" for n in range(ROUTES)]
ROUTES_CHURN = """
while :; do
    for n in 1 2 3 4 5 6 7 8; do echo "route add 10.98.$n.0/24 dev stay0"; done
    echo "route flush root 10.98.0.0/16"
done | exec ip -force -batch -
"""
LINKS_CHURN = """
while :; do
    ip -batch - <<END
link add churn type veth peer name nruhc
link set churn up
route add 10.97.0.0/24 dev churn
link del churn
END
done
"""


class ChangingTablesTests(SynchronousTestCase):
    """Links and thousands of routes that stay, between others that come and go without a pause."""

    skip = private.missing()

    def setUp(self) -> None:
        clean()
        self.addCleanup(clean)
        ip(*(f"link add stay{n} type bridge" for n in range(LINKS)), "link set stay0 up")
        ip(*(f"route add {network} dev stay0" for network in STAY))
        for churn in (ROUTES_CHURN, LINKS_CHURN):
            process = subprocess.Popen(
                ["sh", "-c", churn],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            self.addCleanup(end, process, signal.SIGKILL)

    def test_what_stays_is_read_once(self) -> None:
        """Each reading has once what was there all the while, also where the kernel marked it."""
        links = {f"stay{n}" for n in range(LINKS)}
        routes = {IPv4Network(network) for network in STAY}
        with CountingSocket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
            sock.connect((0, 0))
            kernel = Netlink(sock)
            began = time.monotonic()
            while sock.interrupted < ENOUGH:
                self.assertLess(time.monotonic() - began, LIMIT, "the kernel marks no reading")
                found = read_links(kernel)
                self.assertEqual(links - {link.name for link in found.values()}, set())
                led = [r.destination for r in read_routes(kernel, found) if r.link == "stay0"]
                self.assertEqual(routes - set(led), set())
                self.assertEqual(len(led), len(set(led)))


class CountingSocket(socket.socket):
    """Counts the answers that the kernel marked as inconsistent."""

    interrupted = 0

    def recvmsg(self, *limits: int) -> Any:
        answer = super().recvmsg(*limits)
        self.interrupted += any(flags & INTERRUPTED for _, flags, _ in messages(answer[0]))
        return answer
