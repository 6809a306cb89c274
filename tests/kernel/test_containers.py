"""The containers of the manifests on the kernel's WireGuard: the default installation."""

from lab.device import KIND
from overlayd.model.settings import TunnelKind
from tests.container import test_rollout


class RolloutTests(test_rollout.RolloutTests):
    """No other container is there: the device is the node's own."""

    folder = "."

    def setUp(self) -> None:
        self.assertIs(KIND, TunnelKind.KERNEL)
        super().setUp()
