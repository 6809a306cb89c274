"""What the mesh passes on the development API server, on Kubernetes' own."""

from tests.cluster.mesh import KubernetesTestCase
from tests.machine import test_mesh_cluster, test_mesh_daemon


class DaemonTests(KubernetesTestCase, test_mesh_daemon.DaemonTests):
    """Daemons are killed, stopped and interrupted, also while the API server hangs."""


class ClusterTests(KubernetesTestCase, test_mesh_cluster.ClusterTests):
    """Nodes and daemons come and go while the API server, or a daemon, is away."""
