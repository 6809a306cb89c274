"""The policy for every writer: what may stand in our annotations; and that it freezes no Node."""

import json
from collections.abc import Callable
from functools import partial

from lab.eventually import SERVER_BACK, eventually
from overlayd.model.keys import PrivateKey
from overlayd.model.node import (
    ADDRESS_ANNOTATION,
    ADDRESSES_ANNOTATION,
    ANNOTATIONS,
    ENDPOINT_ANNOTATION,
    KEY_ANNOTATION,
    POD_CIDRS_ANNOTATION,
)
from tests.apiserver.client import MERGE_PATCH, NODES
from tests.cluster.admission import AdmissionTestCase
from tests.cluster.installation import NAMESPACE, annotate

NODE = "annotated"
POLICIES = ("overlayd-annotations", "overlayd-network")
KEY = str(PrivateKey.generate().public())
INSIDE, OUTSIDE = "100.64.3.4", "100.65.0.1"

GOOD = {
    KEY_ANNOTATION: (KEY, "/" * 42 + "8="),
    ADDRESS_ANNOTATION: (INSIDE, "100.64.0.0", "100.64.255.255"),
    ADDRESSES_ANNOTATION: (INSIDE, f"{INSIDE},100.64.3.5"),
    ENDPOINT_ANNOTATION: (
        *("192.0.2.1:51820", "192.0.2.1:1", "192.0.2.1:65535", "169.254.7.7:51820"),
        *("[2001:db8::1]:51820", "[fd00::192.0.2.1]:7"),
    ),
}

BAD = {
    KEY_ANNOTATION: (
        *("", "no key", KEY[:-1], f"{KEY}\n", f" {KEY}", KEY[1:], "A" * 43 + "="),
        *(KEY[:42] + "B=", KEY.replace("=", "A"), "A" * 40 + "====", KEY * 2, "-" * 43 + "="),
    ),
    ADDRESS_ANNOTATION: (
        *("", "x", OUTSIDE, "100.63.255.255", "100.64.0.1/32", "100.64.0.01", "100.64.0"),
        *(f"{INSIDE},{INSIDE}", f" {INSIDE}", f"::ffff:{INSIDE}", "fd00::1", "1684275200"),
    ),
    ADDRESSES_ANNOTATION: (
        *("", ",", f"{INSIDE},", f"{INSIDE}, {INSIDE}", f"{INSIDE},{OUTSIDE}", "fd00::1"),
        *(f"{INSIDE} {INSIDE}", f"::ffff:{INSIDE}", "," * 1000),
    ),
    ENDPOINT_ANNOTATION: (
        *("", ":", "192.0.2.1", "192.0.2.1:", ":51820", "192.0.2.1:0", "192.0.2.1:65536"),
        *("192.0.2.1:051820", "192.0.2.1:+5", "192.0.2.1:5 ", " 192.0.2.1:5", "192.0.2.1:5\n"),
        *("192.0.2.256:5", "192.0.2:5", "[192.0.2.1]:5", "2001:db8::1:5", "[2001:db8::1]"),
        *("[2001:db8::1%eth0]:5", "[[2001:db8::1]]:5", "[2001:db8::1]]:5", "node.example:5"),
        *("0.0.0.0:5", "127.0.0.1:5", "224.0.0.1:5", "255.255.255.255:5", "[::]:5", "[::1]:5"),
        *("[fe80::1]:5", "[ff02::1]:5", "[::ffff:192.0.2.1]:5", "1" * 1000 + ":5"),
    ),
    POD_CIDRS_ANNOTATION: ("", "x", "10.244.0.0/16", "10.244.200.0/24", "0.0.0.0/0"),
}

AUDIT = {"spec": {"validationActions": ["Audit"]}}

OLD = {
    KEY_ANNOTATION: "no key",
    ADDRESS_ANNOTATION: OUTSIDE,
    ADDRESSES_ANNOTATION: "x",
    ENDPOINT_ANNOTATION: "nowhere",
    POD_CIDRS_ANNOTATION: "0.0.0.0/0",
}
"""What a Node may have from before there was a policy."""


class AnnotationsPolicyTests(AdmissionTestCase):
    policies = POLICIES

    def setUp(self) -> None:
        super().setUp()
        if self.admin.get(NODE).status == 404:
            self.cluster.make_node(NODE)
        self.kubelet = self.cluster.kubelet(NODE)
        self.addCleanup(annotate, self.admin, NODE, dict.fromkeys(ANNOTATIONS))

    def test_good(self) -> None:
        """What is well formed is written, whoever writes it and whichever way."""
        for name, values in GOOD.items():
            for value in values:
                self.allowed(annotate(self.admin, NODE, {name: value}), f"{name}={value}")
        [cidr] = self.cluster.pod_cidrs(NODE)
        for client, part in ((self.kubelet, ""), (self.kubelet, "/status"), (self.admin, "")):
            both = {KEY_ANNOTATION: KEY, POD_CIDRS_ANNOTATION: cidr}
            self.allowed(annotate(client, NODE, both, part))
            self.allowed(annotate(client, NODE, dict.fromkeys(both), part))

    def test_bad(self) -> None:
        """What is not is refused, whoever writes it and whichever way."""
        for name, values in BAD.items():
            for value in values:
                said = f"{name}={value!r}"
                self.refused(annotate(self.admin, NODE, {name: value}), said)
        for name in BAD:
            value = BAD[name][1]
            changed = self.admin.get(NODE).document
            changed["metadata"].setdefault("annotations", {})[name] = value
            new = {"metadata": {"name": "annotated-new", "annotations": {name: value}}}
            for reply in (
                annotate(self.kubelet, NODE, {name: value}),
                annotate(self.kubelet, NODE, {name: value}, "/status"),
                self.admin.ask("PUT", f"{NODES}/{NODE}", changed),
                self.admin.ask("PUT", f"{NODES}/{NODE}/status", changed),
                self.admin.create(new),
                annotate(self.admin, NODE, {name: value, "team": "red"}),
                annotate(self.cluster.daemon(NODE), NODE, {name: value}),
            ):
                self.refused(reply, name)

    def test_bad_in_place_of_good(self) -> None:
        """A good annotation cannot be changed into a bad one."""
        self.allowed(annotate(self.admin, NODE, {KEY_ANNOTATION: KEY}))
        self.refused(annotate(self.kubelet, NODE, {KEY_ANNOTATION: "no key"}))

    def test_pod_cidrs_of_two_families(self) -> None:
        """They are compared as the Node has them, in its order."""
        self.cluster.plane.controllers.kill()
        self.addCleanup(self.cluster.plane.controllers.start)
        name, cidrs = "annotated-dual", ["10.244.99.0/24", "fd00:10:0:0::/64"]
        # The controller manager gives out one family, and would not start with such a Node.
        self.addCleanup(self.admin.ask, "DELETE", f"{NODES}/{name}")
        both = {POD_CIDRS_ANNOTATION: ",".join(cidrs)}
        self.allowed(self.admin.create({"metadata": {"name": name}}))
        self.refused(annotate(self.admin, name, both), "before it has any")
        spec = {"spec": {"podCIDR": cidrs[0], "podCIDRs": cidrs}}
        self.allowed(self.admin.ask("PATCH", f"{NODES}/{name}", spec, MERGE_PATCH))
        for value in (cidrs[0], ",".join(reversed(cidrs)), ", ".join(cidrs)):
            self.refused(annotate(self.admin, name, {POD_CIDRS_ANNOTATION: value}), value)
        self.allowed(annotate(self.admin, name, both))

    def test_as_wg_overlay_writes(self) -> None:
        """Its controller reads a Node and puts it back whole, with its two annotations."""
        node = self.admin.get(NODE).document
        values = {KEY_ANNOTATION: KEY, ADDRESS_ANNOTATION: INSIDE}
        node["metadata"].setdefault("annotations", {}).update(values)
        self.allowed(self.admin.ask("PUT", f"{NODES}/{NODE}", node))


class FreezeTests(AdmissionTestCase):
    """Nodes that have bad annotations from before, in every state of the parameter."""

    policies = POLICIES

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self._put_back)

    def _put_back(self) -> None:
        self.cluster.apply()
        self._wait_until(lambda status: status == 422, {ADDRESS_ANNOTATION: OUTSIDE})
        self._wait_until(lambda status: status == 201, {ADDRESS_ANNOTATION: INSIDE})

    def test_with_the_parameter(self) -> None:
        """Everything but a bad annotation is written on such a Node."""
        self._see_it_live("old-ordinary", lambda: None)

    def test_parameter_deleted(self) -> None:
        """So it is with the parameter deleted; then no network is asked for, all else is."""

        def delete() -> None:
            self.cluster.kubectl("-n", NAMESPACE, "delete", self._parameter())
            self._wait_until(lambda status: status == 201, {ADDRESS_ANNOTATION: OUTSIDE})

        self._see_it_live("old-deleted", delete)

    def test_parameter_broken(self) -> None:
        """So it is with one that is no network; then no overlay address is written."""
        no_network = {"OVERLAYD_OVERLAY_CIDR": "x"}, {"OVERLAYD_OVERLAY_CIDR": None}, None
        for number, data in enumerate(no_network):
            self._see_it_live(f"old-broken-{number}", partial(self._spoil, data))
            self._put_back()

    def _spoil(self, data: object) -> None:
        self._patch(self._parameter(), {"data": data})
        self._wait_until(lambda status: status == 422, {ADDRESS_ANNOTATION: INSIDE})

    def _see_it_live(self, name: str, hurt: Callable[[], None]) -> None:
        """See all those who write to Nodes go on with one, once the parameter is hurt."""
        self.cluster.plane.controllers.kill()
        try:
            self._make_old_node(name)
            hurt()
        finally:
            self.cluster.plane.controllers.start()
        self.cluster.wait_for_pod_cidrs(name)
        kubelet = self.cluster.kubelet(name)
        status = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
        self.allowed(kubelet.ask("PATCH", f"{NODES}/{name}/status", status, MERGE_PATCH))
        whole = kubelet.get(name).document
        whole["status"]["conditions"][0]["status"] = "False"
        self.allowed(kubelet.ask("PUT", f"{NODES}/{name}/status", whole))
        self.allowed(annotate(kubelet, name, {"volumes.kubernetes.io/x": "true"}))
        for arguments in (
            ("cordon", name),
            ("uncordon", name),
            ("taint", "node", name, "node.kubernetes.io/unreachable=:NoExecute"),
            ("label", "node", name, "zone=a"),
        ):
            self.cluster.kubectl(*arguments)
        # What is bad can be made good, or taken off, one by one, beside what stays bad.
        self.allowed(annotate(kubelet, name, {ENDPOINT_ANNOTATION: "192.0.2.1:51820"}))
        self.refused(annotate(kubelet, name, {ENDPOINT_ANNOTATION: "nowhere"}))
        for annotation in ANNOTATIONS:
            self.allowed(annotate(kubelet, name, {annotation: None}), annotation)

    def _make_old_node(self, name: str) -> None:
        """While nothing is refused, as before there were policies.

        No binding is deleted for that: with the last one that has a parameter the API server loses
        sight of parameters for good (kubernetes/kubernetes#130887).
        """
        for binding in POLICIES:
            self._patch(f"validatingadmissionpolicybinding/{binding}", AUDIT)
        self._wait_until(lambda status: status == 201, OLD)
        self.allowed(self.admin.create({"metadata": {"name": name, "annotations": OLD}}))
        self._put_back()

    def _wait_until(self, wanted: Callable[[int], bool], values: dict[str, str]) -> None:
        """Wait until making a Node with these annotations ends as wanted; none is made."""
        document = {"metadata": {"name": "probe", "annotations": values}}
        path = f"{NODES}?dryRun=All"
        eventually(
            SERVER_BACK,
            f"the API server judges as it should: {values}",
            lambda: wanted(self.admin.ask("POST", path, document).status),
        )

    def _parameter(self) -> str:
        """The ConfigMap, whose name ends in a hash."""
        binding = self.cluster.kubectl(
            *("get", "validatingadmissionpolicybinding", "overlayd-network", "-o", "json")
        )
        return f"configmap/{json.loads(binding)['spec']['paramRef']['name']}"

    def _patch(self, what: str, change: object) -> None:
        patch = ("patch", what, "--type=merge", "-p", json.dumps(change))
        self.cluster.kubectl("-n", NAMESPACE, *patch)
