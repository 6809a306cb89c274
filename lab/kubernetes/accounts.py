"""The daemons' ServiceAccount: what it may do, and the pods that carry its tokens."""

from typing import Any

from attrs import frozen

from lab.cluster import MERGE_PATCH, ApiRefused, Cluster

NAMESPACE = "overlayd"
ACCOUNT = "overlayd"
GROUP = "overlayd:daemons"
"""Daemons that are known by a client certificate, and may do the same."""

VERBS = ("get", "list", "watch", "patch")

_RBAC = "rbac.authorization.k8s.io"
_ROLES = f"/apis/{_RBAC}/v1/clusterroles"
_BINDINGS = f"/apis/{_RBAC}/v1/clusterrolebindings"
_SPACE = f"/api/v1/namespaces/{NAMESPACE}"
_CONFLICT = 409


@frozen
class Accounts:
    """Makes them at a cluster, as its administrator."""

    _cluster: Cluster

    def install(self) -> None:
        """Let there be the namespace, the account and its role; what is there already stays."""
        self._make("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        self._make(f"{_SPACE}/serviceaccounts", {"metadata": {"name": ACCOUNT}})
        self._make(_ROLES, {"metadata": {"name": ACCOUNT}, "rules": _rules(VERBS)})
        binding = {
            "metadata": {"name": ACCOUNT},
            "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": ACCOUNT},
            "subjects": [
                {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE},
                {"kind": "Group", "name": GROUP, "apiGroup": _RBAC},
            ],
        }
        self._make(_BINDINGS, binding)

    def allow(self, *verbs: str) -> None:
        """Let it do exactly this with Nodes; nothing if no verb is given."""
        self._cluster.request(
            "PATCH",
            f"{_ROLES}/{ACCOUNT}",
            {"rules": _rules(verbs)},
            MERGE_PATCH,
        )

    def place_pod(self, node: str) -> str:
        """Create the daemon's pod of a node, unless it is there; its uid."""
        container = {"name": "overlayd", "image": "none"}
        self._make(
            f"{_SPACE}/pods",
            {
                "metadata": {"name": _pod(node)},
                "spec": {
                    "nodeName": node,
                    "serviceAccountName": ACCOUNT,
                    "containers": [container],
                    "tolerations": [{"operator": "Exists"}],
                },
            },
        )
        uid: str = self._cluster.request("GET", f"{_SPACE}/pods/{_pod(node)}")["metadata"]["uid"]
        return uid

    def delete_pod(self, node: str) -> None:
        """Delete it, as its kubelet does in the end: its tokens end with it."""
        self._cluster.request("DELETE", f"{_SPACE}/pods/{_pod(node)}?gracePeriodSeconds=0")

    def token(self, node: str) -> str:
        """A token of the account as the kubelet asks for one: bound to the node's pod."""
        bound = {
            "kind": "Pod",
            "apiVersion": "v1",
            "name": _pod(node),
            "uid": self.place_pod(node),
        }
        asked = {"spec": {"expirationSeconds": 3600, "boundObjectRef": bound}}
        path = f"{_SPACE}/serviceaccounts/{ACCOUNT}/token"
        token: str = self._cluster.request("POST", path, asked)["status"]["token"]
        return token

    def _make(self, path: str, document: dict[str, Any]) -> None:
        try:
            self._cluster.request("POST", path, document)
        except ApiRefused as refused:
            if refused.status != _CONFLICT:
                raise


def _pod(node: str) -> str:
    return f"overlayd-{node}"


def _rules(verbs: tuple[str, ...]) -> list[dict[str, Any]]:
    rule = {"apiGroups": [""], "resources": ["nodes"], "verbs": list(verbs)}
    return [rule] if verbs else []
