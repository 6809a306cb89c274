"""The control plane that the tests of this tier share."""

import atexit
from functools import cache
from unittest import SkipTest

from lab.kubernetes.binaries import Missing
from lab.kubernetes.control_plane import ControlPlane

NAMESPACE = "overlayd-tests"


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
    return plane
