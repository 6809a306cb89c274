"""overlayd's own client on Kubernetes' own API server, and another client to look with."""

from pathlib import Path
from tempfile import mkdtemp
from uuid import uuid4

from kubernetes.client import CoreV1Api, V1Node, V1ObjectMeta
from twisted.trial.unittest import SynchronousTestCase

from lab.kubernetes.users import User
from overlayd.kube.config.access import Access, find_access
from overlayd.kube.nodes import NodeSession, Report
from overlayd.kube.silence import SILENCE, Silence
from overlayd.kube.transport.api import ApiServer
from overlayd.model.node import Inventory
from overlayd.model.settings import Settings
from overlayd.plan.resume import Attempt, Ending, Step
from tests.cluster.plane import NAMESPACE, NODES_ROLE, shared_plane

WATCH_SECONDS = 60
"""What a watch is asked to last for; a test that saw what it waited for ends it before."""


class ClientCase(SynchronousTestCase):
    """Each test has a Node, an account that may do what the daemon may, and a folder."""

    def setUp(self) -> None:
        self.plane = shared_plane()
        self.users = self.plane.users
        self.core = CoreV1Api(self.users.client())
        self.folder = Path(mkdtemp(dir=".")).absolute()
        self.name = f"client-{uuid4().hex[:10]}"
        self.create_node()
        self.addCleanup(self.core.delete_node, self.name)
        self.reports: list[Report] = []

    def create_node(self) -> None:
        self.core.create_node(V1Node(metadata=V1ObjectMeta(name=self.name)))

    def token(self, account: str = "daemon", role: str | None = NODES_ROLE) -> str:
        """A token of an account, bound to this test's Node."""
        self.users.account(NAMESPACE, account, role)
        return self.users.node_token(NAMESPACE, account, self.name)

    def access(self, user: User) -> Access:
        """As the daemon finds it by --kubeconfig."""
        path = self.users.write_kubeconfig(f"{self.name}-{uuid4().hex[:6]}", user)
        return find_access(None, str(path), {})

    def api(self, access: Access | None = None) -> ApiServer:
        return ApiServer(access or self.access({"token": self.token()}))

    def session(self, api: ApiServer, silence: Silence = SILENCE) -> NodeSession:
        return NodeSession(api, Settings(node_name=self.name), silence)

    def once(self, step: Step, version: str | None = None, seconds: int = WATCH_SECONDS) -> Ending:
        """One attempt of a session of its own; what is left open is closed."""
        api = self.api()
        self.addCleanup(api.abort)
        session = self.session(api)
        return session.run(Attempt(step, version), None, seconds, self.reports.append)

    def version(self) -> str:
        """Where the server's history stands."""
        version = self.once(Step.PROBE).version
        assert version is not None
        return version

    @property
    def inventories(self) -> list[Inventory]:
        return [report for report in self.reports if isinstance(report, Inventory)]

    def annotations(self) -> dict[str, str]:
        """The Node's, as the other client reads them."""
        metadata = self.core.read_node(self.name).metadata
        assert metadata is not None
        return dict(metadata.annotations or {})
