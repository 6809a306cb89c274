"""Whatever comes over rtnetlink, tables are read whole or not at all, and nothing else raises."""

import errno
import socket
import struct

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from overlayd.linux.announcements import Announcements
from overlayd.linux.reading import read_addresses, read_links, read_routes, read_rules
from overlayd.model.errors import NetworkError
from overlayd.model.machine import PROTOCOL
from overlayd.netlink import rtnetlink as rt
from overlayd.netlink.conversation import conversation
from tests.pure.hostile import fuzz, spoilt
from tests.pure.test_announcements import INDEX, NETWORKS, address, attribute, link, route, rule
from tests.pure.test_dumps import END, message

LINKS = link(rt.NEWLINK, INDEX, "wg0") + link(rt.NEWLINK, 1, "lo")
ADDRESSES = message(
    rt.NEWADDR, rt.ADDRESS.pack(socket.AF_INET, 32, INDEX) + attribute(2, bytes((100, 64, 0, 1)))
)
ROUTES = route(rt.NEWROUTE, "10.244.0.0/16", PROTOCOL) + route(rt.NEWROUTE, "0.0.0.0/0", 3)
ROUTES6 = message(
    rt.NEWROUTE,
    rt.ROUTE.pack(socket.AF_INET6, 64, rt.TABLE_MAIN, 3, rt.UNICAST, 0)
    + attribute(rt.RTA_DST, bytes(16)),
)
RULES = message(
    rt.NEWRULE,
    rt.RULE.pack(socket.AF_INET, 16, 0, 0, 7, 0)
    + attribute(1, bytes((10, 244, 0, 0)))
    + attribute(rt.FRA_PROTOCOL, bytes((PROTOCOL,))),
)
TABLES = (LINKS, ADDRESSES, ROUTES, ROUTES6, RULES)
ANNOUNCED = LINKS + address(rt.DELADDR, INDEX) + ROUTES + rule(rt.DELRULE, PROTOCOL)


def tables(*answers: bytes) -> int | str:
    """How many things are in the tables that the kernel answers with, or why they are none.

    One that ends too early is waited for in vain; here that is an error at once.
    """
    ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, kernel:
        ours.setblocking(False)
        for answer in answers:
            kernel.send(answer)
        try:
            with conversation(ours) as asked:
                links = read_links(asked)
                found = (
                    *links.values(),
                    *read_addresses(asked, links),
                    *read_routes(asked, links),
                    *read_rules(asked),
                )
                return len(found)
        except NetworkError as error:
            return str(error)


class RtnetlinkFuzz(SynchronousTestCase):
    def test_whole(self) -> None:
        """As they are, the tables have seven things in them."""
        self.assertEqual(tables(*(table + END for table in TABLES)), 7)

    @fuzz
    @given(
        st.integers(0, len(TABLES) - 1).flatmap(
            lambda which: st.tuples(st.just(which), spoilt(TABLES[which]))
        )
    )
    @example((0, message(rt.NEWLINK, b"x")))
    @example((1, message(rt.NEWADDR, rt.ADDRESS.pack(socket.AF_INET, 33, INDEX))))
    @example((2, message(rt.NEWROUTE, rt.ROUTE.pack(socket.AF_INET, 99, rt.TABLE_MAIN, 3, 1, 0))))
    @example((0, message(2, struct.pack("=i", errno.EPERM))))
    @example((0, message(2, struct.pack("=i", -(2**31)))))
    @example((0, message(3, b"")))
    def test_any_dump(self, one: tuple[int, bytes]) -> None:
        """Any wrongs in any table: it is read, or one short line says that it was not."""
        which, bad = one
        answers = [table + END for table in TABLES]
        answers[which] = bad + END
        result = tables(*answers)
        if isinstance(result, str):
            self.assertTrue(result.isprintable(), repr(result))
            self.assertLess(len(result), 400)

    @fuzz
    @given(spoilt(ANNOUNCED, most=8))
    def test_any_announcements(self, data: bytes) -> None:
        """Any wrongs among announcements; what they are taken for is one short line each."""
        announcements = Announcements("wg0", NETWORKS)
        announcements.index = INDEX
        for reason in announcements.concerns(data):
            self.assertTrue(reason.isprintable())
            self.assertLess(len(reason), 100)
