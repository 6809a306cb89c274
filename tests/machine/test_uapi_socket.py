"""Asking a process that takes a request and never answers."""

import os
import socket
from concurrent.futures import ThreadPoolExecutor

from twisted.trial.unittest import SynchronousTestCase

from lab import private
from overlayd.model.errors import TunnelError
from overlayd.tunnel.uapi import GET
from overlayd.tunnel.uapi_socket import FOLDER, UapiSocket

LINK = "mute0"


class InterruptTests(SynchronousTestCase):
    """A listener in the place of wireguard-go, and a thread that waits for its answer."""

    skip = private.missing()

    def setUp(self) -> None:
        os.makedirs(FOLDER, exist_ok=True)
        self.asked = UapiSocket(LINK)
        self.listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.listener.close)
        self.listener.settimeout(10)
        self.listener.bind(self.asked.path)
        self.addCleanup(os.unlink, self.asked.path)
        self.listener.listen()
        self.thread = ThreadPoolExecutor(1)
        self.addCleanup(self.thread.shutdown)

    def test_while_it_waits(self) -> None:
        """Who waits is told so at once, not after its limit, and had sent all of the request."""
        for begun in (b"", b"private_key="):
            self.asked = UapiSocket(LINK)
            waiting = self.thread.submit(self.asked.ask, GET)
            process, _ = self.listener.accept()
            with process:
                process.settimeout(10)
                self.assertEqual(process.recv(len(GET), socket.MSG_WAITALL), GET)
                process.send(begun)
                self.asked.interrupt()
                self.assertIn("interrupted", str(waiting.exception(10)))
                self.assertEqual(process.recv(1), b"")

    def test_afterwards(self) -> None:
        """Nothing is asked any more, not even begun."""
        self.asked.interrupt()
        for request in (lambda: self.asked.ask(GET), self.asked.end):
            self.assertIn("interrupted", str(self.assertRaises(TunnelError, request)))
        self.listener.setblocking(False)
        self.assertRaises(BlockingIOError, self.listener.accept)
        self.assertTrue(os.path.exists(self.asked.path))
