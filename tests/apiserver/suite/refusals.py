"""What is refused, and how: always a Status that a program can read."""

from typing import Any
from unittest import SkipTest

from tests.apiserver.client import MERGE_PATCH, NODES, Reply
from tests.apiserver.suite.case import NodeApiCase, annotated

LIMIT = 262_144
"""Bytes of all annotations of a Node together."""


class Refusals(NodeApiCase):
    """Requests that are wrong."""

    def refused(self, **document: Any) -> Reply:
        """Try to create a Node, which must not be there afterwards."""
        metadata = {"name": self.name(), **document.pop("metadata", {})}
        self.addCleanup(self.api.delete, self.name())
        reply = self.api.create({"metadata": metadata, **document})
        self.assertEqual(self.api.get(self.name()).status, 404)
        return reply

    def test_missing_node(self) -> None:
        """A Node that is not there is 404 NotFound, whatever is wanted of it."""
        name = self.name()
        for reply in (
            self.api.get(name),
            self.api.patch(name, annotated({"a": "1"})),
            self.api.patch(name, {"status": {}}, "/status"),
            self.api.put(name, {"metadata": {"name": name}}),
            self.api.delete(name),
        ):
            status = self.assertRefused(reply, 404, "NotFound")
            self.assertEqual(status["details"], {"name": name, "kind": "nodes"})

    def test_unknown_path(self) -> None:
        """A kind that is not known is 404."""
        self.assertRefused(self.api.ask("GET", "/api/v1/nothings"), 404, "NotFound")

    def test_method(self) -> None:
        """A method that a resource does not have is 405."""
        self.created()
        reply = self.api.ask("POST", f"{NODES}/{self.name()}", {})
        self.assertRefused(reply, 405, "MethodNotAllowed")

    def test_broken_json(self) -> None:
        """A body that is no JSON is 400, in a creation and in a patch."""
        before = self.created()
        self.assertRefused(self.api.ask("POST", NODES, b'{"metadata"'), 400, "BadRequest")
        reply = self.api.ask("PATCH", f"{NODES}/{self.name()}", b"{", MERGE_PATCH)
        self.assertRefused(reply, 400, "BadRequest")
        self.assertEqual(self.api.get(self.name()).document, before)

    def test_media_type(self) -> None:
        """A patch of an unknown kind is 415."""
        self.created()
        reply = self.api.ask("PATCH", f"{NODES}/{self.name()}", {}, "application/unknown")
        self.assertRefused(reply, 415, "UnsupportedMediaType")

    def test_names(self) -> None:
        """A name is a lower-case DNS name, or the Node is 422."""
        for name in ("Upper", "under_score", "-dash", "a..b", "x" * 254, ""):
            reply = self.api.create({"metadata": {"name": name}})
            self.assertRefused(reply, 422, "Invalid")

    def test_another_name(self) -> None:
        """A document whose name is not the one in the path is 400."""
        self.created()
        reply = self.api.put(self.name(), {"metadata": {"name": self.name("other")}})
        self.assertRefused(reply, 400, "BadRequest")

    def test_annotations_limit(self) -> None:
        """All annotations of a Node together, keys and values, are limited in bytes."""
        self.created(**annotated({"a": "x" * (LIMIT - 1 - len("b") - len("\u00e9".encode()))}))
        self.assertEqual(self.api.patch(self.name(), annotated({"b": "\u00e9"})).status, 200)
        reply = self.api.patch(self.name(), annotated({"b": "\u00e9x"}))
        status = self.assertRefused(reply, 422, "Invalid")
        # A cause is named as often as the annotations were looked at.
        causes = {(c["field"], c["reason"]) for c in status["details"]["causes"]}
        self.assertEqual(causes, {("metadata.annotations", "FieldValueTooLong")})
        self.assertEqual(
            self.api.get(self.name()).document["metadata"]["annotations"]["b"], "\u00e9"
        )

    def test_too_many_annotations_from_the_start(self) -> None:
        """A Node with more annotations than the limit is not created."""
        self.assertRefused(self.refused(**annotated({"a": "x" * LIMIT})), 422, "Invalid")

    def test_annotation_keys(self) -> None:
        """A key is a name, with a DNS prefix where there is a slash; its case does not matter."""
        for key in ("two words", "a/b/c", "/a", "a/", "\u00e9", "x" * 64):
            self.assertRefused(self.refused(**annotated({key: "1"})), 422, "Invalid")
        self.created(**annotated({"Example.com/Some_Key.1": "1"}))

    def test_annotation_types(self) -> None:
        """An annotation is text: a number is 400 in a document, 422 in a patch."""
        self.assertRefused(self.refused(**annotated({"a": 5})), 400, "BadRequest")
        self.created()
        reply = self.api.patch(self.name(), annotated({"a": 5}))
        self.assertRefused(reply, 422, "Invalid")

    def test_another_kind(self) -> None:
        """What calls itself something else than a Node is 400 in a document, 422 in a patch."""
        for part in ({"kind": "Pod", "apiVersion": "v1"}, {"kind": "Node", "apiVersion": "v2"}):
            self.assertRefused(self.refused(**part), 400, "BadRequest")
        before = self.created()
        for part in ({"kind": "Pod"}, {"apiVersion": "v2"}):
            status = self.assertRefused(self.api.patch(self.name(), part), 422, "Invalid")
            causes = [(c["field"], c["reason"]) for c in status["details"]["causes"]]
            self.assertEqual(causes, [("patch", "FieldValueInvalid")])
        self.assertEqual(self.api.get(self.name()).document, before)

    def test_repeated_address(self) -> None:
        """An address may be any text, but not be there twice under the same type."""
        self.created()
        address = {"type": "InternalIP", "address": "any text"}
        for second, code in (({**address, "type": "Hostname"}, 200), (address, 422)):
            patch = {"status": {"addresses": [address, second]}}
            self.assertEqual(self.api.patch(self.name(), patch, "/status").status, code)

    def test_pod_cidrs(self) -> None:
        """podCIDRs are prefixes, at most one of each family."""
        for cidrs in (
            ["10.9.0.0"],
            ["10.9.0.0/33"],
            ["10.9.0.0/255.255.255.0"],
            ["10.9.0.0/24", "10.9.1.0/24"],
            ["10.9.0.0/24", "fd00::/64", "fd01::/64"],
            ["nonsense/24"],
        ):
            self.assertRefused(self.refused(spec={"podCIDRs": cidrs}), 422, "Invalid")

    def test_token(self) -> None:
        """A token that is not accepted is 401, for a watch too."""
        if "Authorization" not in self.api.server.headers:
            raise SkipTest("this server is not asked with a token")
        wrong = {"Authorization": "Bearer wrong"}
        reply = self.api.ask("GET", NODES, headers=wrong)
        self.assertRefused(reply, 401, "Unauthorized")
        reply = self.api.ask("GET", NODES, headers=wrong, query={"watch": "true"})
        self.assertRefused(reply, 401, "Unauthorized")

    def test_health(self) -> None:
        """A server that works says "ok" where it is asked for its health, and its version."""
        for path in ("/healthz", "/livez", "/readyz"):
            reply = self.api.ask("GET", path)
            self.assertEqual((reply.status, reply.body), (200, b"ok"))
        self.assertIn("gitVersion", self.api.ask("GET", "/version").document)
