"""What the test cases of the suite share: a server, Nodes of their own, and Status bodies."""

from typing import Any
from unittest import SkipTest
from uuid import uuid4

from twisted.trial.unittest import SynchronousTestCase

from tests.apiserver.client import Client, Document, Reply, ServerUnderTest, Stream


def annotated(annotations: dict[str, Any]) -> Document:
    """A patch or a part of a document that sets annotations; None removes one."""
    return {"metadata": {"annotations": annotations}}


class NodeApiCase(SynchronousTestCase):
    """Derive, and say which server in `server`."""

    def server(self) -> ServerUnderTest:
        raise NotImplementedError

    def setUp(self) -> None:
        self.api = Client(self.server())
        self._prefix = f"suite-{uuid4().hex[:10]}"

    def name(self, suffix: str = "node") -> str:
        """A name that nobody else uses; suffixes sort as they are."""
        return f"{self._prefix}-{suffix}"

    def created(self, suffix: str = "node", **parts: Any) -> Document:
        """Create a Node, with `spec`, `status` or more `metadata`; it goes with the test."""
        name = self.name(suffix)
        metadata = {"name": name, **parts.pop("metadata", {})}
        reply = self.api.create({"metadata": metadata, **parts})
        self.assertEqual(reply.status, 201, reply.body)
        self.addCleanup(self.api.delete, name)
        return reply.document

    def annotate(self, name: str, key: str, value: str) -> str:
        """Set an annotation and return the version that this made."""
        reply = self.api.patch(name, annotated({key: value}))
        self.assertEqual(reply.status, 200, reply.body)
        return reply.version

    def watching(self, **query: str) -> Stream:
        """An answered watch, closed after the test."""
        stream = self.api.watch(**query)
        self.addCleanup(stream.close)
        self.assertEqual(stream.http.status, 200)
        return stream

    def forget_history(self) -> None:
        forget = self.api.server.forget_history
        if forget is None:
            raise SkipTest("this server cannot be asked to forget its history")
        forget()

    def assertRefused(self, reply: Reply, code: int, reason: str) -> Document:
        """The reply is a Status that says so, in the body as in the status line."""
        self.assertEqual(reply.status, code, reply.body)
        self.assertEqual(reply.headers["Content-Type"], "application/json")
        self.assertStatus(reply.document, code, reason)
        return reply.document

    def assertStatus(self, status: Document, code: int, reason: str) -> None:
        shown = {key: status[key] for key in ("kind", "apiVersion", "status", "reason", "code")}
        expected = {"kind": "Status", "apiVersion": "v1", "status": "Failure"}
        self.assertEqual(shown, {**expected, "reason": reason, "code": code}, status)
        self.assertTrue(status["message"])
