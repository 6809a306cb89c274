"""The development API server under the suite that a real kube-apiserver is put under."""

import atexit
from contextlib import ExitStack
from functools import cache

from overlayd.testing.apiserver.process import ServerProcess, development_server
from tests.apiserver.client import ServerUnderTest
from tests.apiserver.suite import lists, refusals, watches, writes

TOKEN = "let-me-in"


@cache
def shared_server() -> ServerProcess:
    """One server for all tests of this module; it ends with the process that runs them."""
    stack = ExitStack()
    server = stack.enter_context(development_server("--token", TOKEN))
    atexit.register(stack.close)
    return server


def under_test() -> ServerUnderTest:
    server = shared_server()
    return ServerUnderTest(
        server.url,
        headers={"Authorization": f"Bearer {TOKEN}"},
        forget_history=lambda: server.fault("forget-history"),
    )


class Lists(lists.Lists):
    def server(self) -> ServerUnderTest:
        return under_test()


class Watches(watches.Watches):
    def server(self) -> ServerUnderTest:
        return under_test()


class Writes(writes.Writes):
    def server(self) -> ServerUnderTest:
        return under_test()


class Refusals(refusals.Refusals):
    def server(self) -> ServerUnderTest:
        return under_test()
