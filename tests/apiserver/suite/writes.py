"""Writes: creation, merge patches, status, preconditions, deletion."""

from datetime import UTC, datetime
from itertools import islice

from tests.apiserver.client import Document
from tests.apiserver.suite.case import NodeApiCase, annotated

ADDRESSES = {"addresses": [{"type": "InternalIP", "address": "192.0.2.7"}]}
OTHER_ADDRESSES = {"addresses": [{"type": "InternalIP", "address": "any text at all"}]}


class Writes(NodeApiCase):
    """POST, PUT, PATCH and DELETE."""

    def now(self) -> Document:
        return self.api.get(self.name()).document

    def test_create(self) -> None:
        """A Node is created with a uid, a version, and the time in whole seconds of UTC."""
        created = self.created()
        metadata = created["metadata"]
        self.assertEqual((created["kind"], created["apiVersion"]), ("Node", "v1"))
        self.assertGreater(int(metadata["resourceVersion"]), 0)
        self.assertEqual(len(metadata["uid"]), 36)
        made = datetime.strptime(metadata["creationTimestamp"], "%Y-%m-%dT%H:%M:%SZ")
        self.assertLess(abs((datetime.now(UTC) - made.replace(tzinfo=UTC)).total_seconds()), 300)

    def test_create_again(self) -> None:
        """A name that is taken is 409 AlreadyExists."""
        created = self.created()
        reply = self.api.create({"metadata": {"name": self.name()}})
        status = self.assertRefused(reply, 409, "AlreadyExists")
        self.assertEqual(status["details"], {"name": self.name(), "kind": "nodes"})
        self.assertEqual(self.now(), created)

    def test_merge_patch(self) -> None:
        """A merge patch sets and removes its own keys, and leaves all others."""
        before = self.created(**annotated({"kept": "1", "changed": "1", "removed": "1"}))
        patch = annotated({"changed": "2", "removed": None, "added": "2", "never-there": None})
        reply = self.api.patch(self.name(), patch)
        self.assertEqual(reply.status, 200)
        annotations = {"kept": "1", "changed": "2", "added": "2"}
        metadata = {**before["metadata"], "annotations": annotations}
        metadata["resourceVersion"] = reply.version
        changed = reply.document
        for document in (changed["metadata"], metadata):
            document.pop("managedFields", None)  # who wrote what, where a server keeps it
        self.assertEqual(changed, {**before, "metadata": metadata})
        self.assertGreater(int(reply.version), int(before["metadata"]["resourceVersion"]))
        self.assertEqual(self.now(), reply.document)

    def test_control_characters(self) -> None:
        """An annotation's value is any text; it comes back as it was sent."""
        value = '\x00\x1b[31m\u2028 \\ " \U0001f642\n'
        self.created(**annotated({"a": value}))
        self.assertEqual(self.now()["metadata"]["annotations"], {"a": value})

    def test_patch_that_changes_nothing(self) -> None:
        """A patch that changes nothing makes no version, and no event."""
        before = self.created(**annotated({"a": "1"}))
        version = before["metadata"]["resourceVersion"]
        reply = self.api.patch(self.name(), annotated({"a": "1", "never-there": None}))
        self.assertEqual((reply.status, reply.document), (200, before))
        changed = self.annotate(self.name(), "a", "2")
        [event] = islice(self.watching(resourceVersion=version).of(self.name()), 1)
        self.assertEqual(event["object"]["metadata"]["resourceVersion"], changed)

    def test_patch_of_a_version(self) -> None:
        """A patch that names the version it was made for is 409 Conflict on any other."""
        version = self.created()["metadata"]["resourceVersion"]
        patch = {"metadata": {"resourceVersion": version, "annotations": {"a": "1"}}}
        self.assertEqual(self.api.patch(self.name(), patch).status, 200)
        patch["metadata"]["annotations"] = {"a": "2"}
        reply = self.api.patch(self.name(), patch)
        status = self.assertRefused(reply, 409, "Conflict")
        self.assertEqual(status["details"], {"name": self.name(), "kind": "nodes"})
        self.assertEqual(self.now()["metadata"]["annotations"], {"a": "1"})

    def test_patch_of_any_version(self) -> None:
        """Version "0", or none, is whatever version there is."""
        self.created()
        for version in ("0", "", None):
            patch = {"metadata": {"resourceVersion": version, "annotations": {"a": str(version)}}}
            self.assertEqual(self.api.patch(self.name(), patch).status, 200)
            self.assertEqual(self.now()["metadata"]["annotations"], {"a": str(version)})

    def test_patch_of_all_annotations(self) -> None:
        """A patch of null removes all annotations; an empty value is a value."""
        self.created(**annotated({"a": "1", "b": ""}))
        self.assertEqual(self.now()["metadata"]["annotations"], {"a": "1", "b": ""})
        self.assertEqual(
            self.api.patch(self.name(), {"metadata": {"annotations": None}}).status, 200
        )
        self.assertNotIn("annotations", self.now()["metadata"])

    def test_annotations_through_status(self) -> None:
        """Who may write the status alone writes annotations and labels too, as a kubelet does."""
        self.created(**annotated({"a": "1"}))
        patch = {"metadata": {"annotations": {"b": "2"}, "labels": {"c": "3"}}}
        self.assertEqual(self.api.patch(self.name(), patch, "/status").status, 200)
        self.assertEqual(self.now()["metadata"]["annotations"], {"a": "1", "b": "2"})
        self.assertEqual(self.now()["metadata"]["labels"], {"c": "3"})

    def test_patch_of_another_node(self) -> None:
        """A patch that names another uid finds another Node, and changes nothing."""
        before = self.created()
        uid = "00000000-0000-0000-0000-000000000000"
        reply = self.api.patch(self.name(), {"metadata": {"uid": uid, "annotations": {"a": "1"}}})
        self.assertRefused(reply, 422, "Invalid")
        self.assertEqual(self.now(), before)

    def test_main_resource_keeps_status(self) -> None:
        """A patch of the Node itself does not change its status."""
        self.created(status=ADDRESSES)
        patch = {"status": OTHER_ADDRESSES, **annotated({"a": "1"})}
        reply = self.api.patch(self.name(), patch)
        self.assertEqual(reply.document["status"]["addresses"], ADDRESSES["addresses"])
        self.assertEqual(reply.document["metadata"]["annotations"], {"a": "1"})

    def test_status_keeps_spec(self) -> None:
        """A patch of /status changes the status and not the spec."""
        before = self.created(spec={"providerID": "cloud:///1"}, status=ADDRESSES)
        patch = {"status": OTHER_ADDRESSES, "spec": {"unschedulable": True}}
        reply = self.api.patch(self.name(), patch, "/status")
        self.assertEqual(reply.status, 200, reply.body)
        self.assertEqual(reply.document["status"]["addresses"], OTHER_ADDRESSES["addresses"])
        self.assertEqual(reply.document["spec"], before["spec"])
        self.assertEqual(self.now(), reply.document)

    def test_replace_status(self) -> None:
        """A PUT of /status replaces the status and not the spec."""
        before = self.created(status=ADDRESSES)
        document = {**before, "status": OTHER_ADDRESSES, "spec": {"unschedulable": True}}
        reply = self.api.put(self.name(), document, "/status")
        self.assertEqual(reply.status, 200, reply.body)
        self.assertEqual(reply.document["status"]["addresses"], OTHER_ADDRESSES["addresses"])
        self.assertNotIn("unschedulable", reply.document["spec"])

    def test_replace(self) -> None:
        """A PUT replaces what it leaves out too, except identity and status."""
        before = self.created(status=ADDRESSES, **annotated({"a": "1"}))
        document = {"metadata": {"name": self.name(), "labels": {"b": "2"}}}
        reply = self.api.put(self.name(), document)
        self.assertEqual(reply.status, 200, reply.body)
        metadata = reply.document["metadata"]
        self.assertEqual(metadata["labels"], {"b": "2"})
        self.assertNotIn("annotations", metadata)
        for key in ("uid", "creationTimestamp"):
            self.assertEqual(metadata[key], before["metadata"][key])
        self.assertEqual(reply.document["status"], before["status"])

    def test_replace_a_version(self) -> None:
        """A PUT of a version that is not the newest is 409 Conflict."""
        before = self.created()
        self.annotate(self.name(), "a", "1")
        self.assertRefused(self.api.put(self.name(), before), 409, "Conflict")
        self.assertEqual(self.now()["metadata"]["annotations"], {"a": "1"})

    def test_delete(self) -> None:
        """A deleted Node is gone; one of the same name later has another uid."""
        first = self.created()
        reply = self.api.delete(self.name())
        self.assertEqual((reply.status, reply.document["status"]), (200, "Success"))
        about = {"name": self.name(), "kind": "nodes", "uid": first["metadata"]["uid"]}
        self.assertEqual(reply.document["details"], about)
        self.assertRefused(self.api.get(self.name()), 404, "NotFound")
        second = self.created()
        self.assertNotEqual(first["metadata"]["uid"], second["metadata"]["uid"])

    def test_replace_without_a_name(self) -> None:
        """A PUT says whom it means in the document too."""
        self.created()
        self.assertRefused(self.api.put(self.name(), {"metadata": {}}), 400, "BadRequest")

    def test_delete_another_node(self) -> None:
        """A deletion that names another uid is 409 Conflict, and deletes nothing."""
        before = self.created()
        uid = "00000000-0000-0000-0000-000000000000"
        reply = self.api.delete(self.name(), {"preconditions": {"uid": uid}})
        self.assertRefused(reply, 409, "Conflict")
        self.assertEqual(self.now(), before)

    def test_pod_cidrs_once(self) -> None:
        """podCIDRs can be given once; podCIDR is the first of them, in the text as given."""
        before = self.created()["spec"]
        cidrs = ["10.9.0.0/24", "FD00:10:0:0::/64"]
        reply = self.api.patch(self.name(), {"spec": {"podCIDRs": cidrs}})
        self.assertEqual(reply.status, 200, reply.body)
        self.assertEqual(self.now()["spec"], {**before, "podCIDR": cidrs[0], "podCIDRs": cidrs})
        patch = {"spec": {"podCIDR": "10.9.1.0/24", "podCIDRs": ["10.9.1.0/24"]}}
        self.assertRefused(self.api.patch(self.name(), patch), 422, "Invalid")
        self.assertEqual(self.now()["spec"]["podCIDRs"], cidrs)

    def test_contradictory_pod_cidrs(self) -> None:
        """podCIDR that is not the first of podCIDRs takes the place of all of them."""
        cidrs = {"podCIDR": "10.9.0.0/24", "podCIDRs": ["10.9.1.0/24", "fd00::/64"]}
        self.assertEqual(self.created(spec=cidrs)["spec"]["podCIDRs"], ["10.9.0.0/24"])
        version = self.now()["metadata"]["resourceVersion"]
        reply = self.api.patch(self.name(), {"spec": {"podCIDRs": ["10.9.2.0/24"]}})
        self.assertEqual((reply.status, reply.version), (200, version))

    def test_new_node(self) -> None:
        """A new Node has the taint of one that is not ready, once, after those it was made with."""
        other = {"key": "a", "effect": "NoSchedule"}
        not_ready = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
        for suffix, given, taints in (
            ("a", {}, [not_ready]),
            ("b", {"taints": [other]}, [other, not_ready]),
            ("c", {"taints": [not_ready, other]}, [not_ready, other]),
        ):
            self.assertEqual(self.created(suffix, spec=given)["spec"]["taints"], taints)

    def test_any_ipv4_network(self) -> None:
        """0.0.0.0/0 is a podCIDR like any other."""
        self.created(spec={"podCIDR": "0.0.0.0/0"})
        self.assertEqual(self.now()["spec"]["podCIDRs"], ["0.0.0.0/0"])
