"""The control plane that the tests of this tier share."""

import atexit
from functools import cache
from unittest import SkipTest

from kubernetes.client import (
    RbacAuthorizationV1Api,
    V1ClusterRole,
    V1ObjectMeta,
    V1PolicyRule,
)

from lab.kubernetes.binaries import Missing
from lab.kubernetes.control_plane import ControlPlane

NAMESPACE = "overlayd-tests"
NODES_ROLE = "overlayd-tests-nodes"
"""A ClusterRole that may do with Nodes what the daemon does, and nothing else."""


@cache
def shared_plane() -> ControlPlane:
    """One without controllers, for all tests of Nodes; it ends with the process that runs them.

    :raises SkipTest: its programs are not here.
    """
    try:
        plane = ControlPlane()
    except Missing as missing:
        raise SkipTest(str(missing)) from None
    atexit.register(plane.close)
    plane.start(controllers=False)
    verbs = ["get", "list", "watch", "patch"]
    rule = V1PolicyRule(api_groups=[""], resources=["nodes"], verbs=verbs)
    role = V1ClusterRole(metadata=V1ObjectMeta(name=NODES_ROLE), rules=[rule])
    RbacAuthorizationV1Api(plane.users.client()).create_cluster_role(role)
    return plane
