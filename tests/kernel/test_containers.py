"""The containers of the manifests on the kernel's WireGuard: the default installation."""

from lab.device import KIND
from overlayd.model.settings import TunnelKind
from tests.container import test_rollout, test_teardown


class RolloutTests(test_rollout.RolloutTests):
    """No other container is there: the device is the node's own."""

    folder = "."
    nodes = (1, 2)

    def setUp(self) -> None:
        self.assertIs(KIND, TunnelKind.KERNEL)
        super().setUp()


class TeardownTests(test_teardown.TeardownTests):
    """What the teardown component takes away is a device of the kernel."""

    folder = "."
