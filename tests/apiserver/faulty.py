"""A development server whose faults are switched on, for the tests of those faults."""

import atexit
from contextlib import ExitStack
from functools import cache

from overlayd.testing.apiserver.process import ServerProcess, development_server
from tests.apiserver.client import ServerUnderTest
from tests.apiserver.suite.case import NodeApiCase

SILENCE = 0.3
"""Seconds in which a server that is silent on purpose says nothing."""


@cache
def shared_server() -> ServerProcess:
    """One server for all tests of faults; it ends with the process that runs them."""
    stack = ExitStack()
    server = stack.enter_context(development_server("--bookmark-interval", "0.2"))
    atexit.register(stack.close)
    return server


class FaultCase(NodeApiCase):
    """A server that works again after each test."""

    def server(self) -> ServerUnderTest:
        return ServerUnderTest(shared_server().url)

    def setUp(self) -> None:
        super().setUp()
        self.process = shared_server()
        self.addCleanup(self.process.fault, "clear")

    def version(self) -> str:
        return self.api.list(limit="1").version
