"""Who one can be at an API server, and clients for them."""

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kubernetes.client import (
    ApiClient,
    ApiException,
    AuthenticationV1TokenRequest,
    CoreV1Api,
    RbacAuthorizationV1Api,
    RbacV1Subject,
    V1BoundObjectReference,
    V1ClusterRoleBinding,
    V1Container,
    V1Namespace,
    V1ObjectMeta,
    V1Pod,
    V1PodSpec,
    V1RoleRef,
    V1ServiceAccount,
    V1TokenRequestSpec,
)
from kubernetes.config import new_client_from_config_dict
from kubernetes.dynamic import DynamicClient

from lab.kubernetes.authority import Authority, write

User = Mapping[str, Any]
"""The `user` of a kubeconfig: a certificate's files, a token, a token's file, or a plugin."""

_CONFLICT = 409
_RBAC = "rbac.authorization.k8s.io"
_KUBECTL_LIMIT = 60.0  # seconds


class Users:
    """Users of the API server at `url`. Their files are beside those of the authority."""

    def __init__(self, authority: Authority, url: str, kubectl: Path) -> None:
        self._authority = authority
        self._folder = authority.certificate.parent
        self._url = url
        self._kubectl = kubectl
        self.admin = self.certificate("admin", "system:masters")

    # --- who one can be ----------------------------------------------------------------------

    def certificate(self, name: str, *groups: str) -> User:
        """Someone with a client certificate of their own."""
        file = name.replace(":", "-")
        certificate, key = self._authority.issue(file, name, groups)
        return {"client-certificate": str(certificate), "client-key": str(key)}

    def kubelet(self, node: str) -> User:
        return self.certificate(f"system:node:{node}", "system:nodes")

    def operator(self) -> User:
        """A person who may do everything because a role says so."""
        self.allow("operator", "cluster-admin")
        return self.certificate("operator")

    def account(self, namespace: str, name: str, role: str | None = None) -> None:
        """Let there be such a namespace, and such a ServiceAccount in it, with a ClusterRole."""
        core = CoreV1Api(self.client())
        space = V1Namespace(metadata=V1ObjectMeta(name=namespace))
        _unless_there(core.create_namespace, space)
        account = V1ServiceAccount(metadata=V1ObjectMeta(name=name))
        _unless_there(core.create_namespaced_service_account, namespace, account)
        if role is not None:
            self.allow(f"system:serviceaccount:{namespace}:{name}", role)

    def allow(self, user: str, role: str) -> None:
        """Give a user, or an account by its full name, a ClusterRole."""
        binding = V1ClusterRoleBinding(
            metadata=V1ObjectMeta(name=f"{user}:{role}"),
            role_ref=V1RoleRef(api_group=_RBAC, kind="ClusterRole", name=role),
            subjects=[RbacV1Subject(api_group=_RBAC, kind="User", name=user)],
        )
        create = RbacAuthorizationV1Api(self.client()).create_cluster_role_binding
        _unless_there(create, binding)

    def token(
        self, namespace: str, account: str, bound: V1BoundObjectReference | None = None
    ) -> str:
        """A token of a ServiceAccount, valid for an hour, or for as long as an object is there.

        :raises ApiException: there is no such account, or object.
        """
        spec = V1TokenRequestSpec(audiences=[], expiration_seconds=3600, bound_object_ref=bound)
        core = CoreV1Api(self.client())
        answer = core.create_namespaced_service_account_token(
            account, namespace, AuthenticationV1TokenRequest(spec=spec)
        )
        assert answer.status is not None
        return str(answer.status.token)

    def node_token(self, namespace: str, account: str, node: str) -> str:
        """A token that is bound to a Node, and ends with it."""
        found = CoreV1Api(self.client()).read_node(node)
        return self.token(namespace, account, _reference("Node", found.metadata))

    def pod_token(self, namespace: str, account: str, node: str) -> str:
        """A token as it is mounted into a pod on a Node; the pod is an object and nothing more."""
        pod = V1Pod(
            metadata=V1ObjectMeta(generate_name=f"{account}-"),
            spec=V1PodSpec(
                node_name=node,
                service_account_name=account,
                containers=[V1Container(name=account, image="none")],
            ),
        )
        made = CoreV1Api(self.client()).create_namespaced_pod(namespace, pod)
        return self.token(namespace, account, _reference("Pod", made.metadata))

    # --- clients -----------------------------------------------------------------------------

    def kubeconfig(self, user: User | None = None) -> dict[str, Any]:
        """The document that a client reads; without a user for the admin."""
        cluster = {"server": self._url, "certificate-authority": str(self._authority.certificate)}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": "lab", "user": dict(user or self.admin)}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}],
            "current-context": "lab",
        }

    def write_kubeconfig(self, name: str, user: User | None = None) -> Path:
        """Write NAME.kubeconfig, which may be there already."""
        path = self._folder / f"{name}.kubeconfig"
        write(path, json.dumps(self.kubeconfig(user)).encode())  # JSON is YAML
        return path

    def client(self, user: User | None = None) -> ApiClient:
        """Kubernetes' own Python client."""
        config = self.kubeconfig(user)
        client: ApiClient = new_client_from_config_dict(config, persist_config=False)
        return client

    def dynamic(self, user: User | None = None) -> DynamicClient:
        """The same, for whatever kinds of objects the server has."""
        return DynamicClient(self.client(user), cache_file=str(self._folder / "discovered.json"))

    def kubectl(
        self, *arguments: str, user: User | None = None, given: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl to its end, whatever its exit status; `given` is its standard input."""
        config = self.write_kubeconfig("kubectl", user)
        return subprocess.run(
            [str(self._kubectl), f"--kubeconfig={config}", *arguments],
            input=given,
            capture_output=True,
            text=True,
            timeout=_KUBECTL_LIMIT,
        )


def _reference(kind: str, metadata: V1ObjectMeta | None) -> V1BoundObjectReference:
    assert metadata is not None
    return V1BoundObjectReference(api_version="v1", kind=kind, name=metadata.name, uid=metadata.uid)


def _unless_there(create: Callable[..., object], *arguments: object) -> None:
    """Create an object, unless there is one of its name."""
    try:
        create(*arguments)
    except ApiException as error:
        if error.status != _CONFLICT:
            raise
