"""What the tests of both admission policies share."""

from twisted.trial.unittest import SynchronousTestCase

from tests.apiserver.client import Reply
from tests.cluster.installation import installation


class AdmissionTestCase(SynchronousTestCase):
    """What the policies whose names are in `policies` make of writes."""

    policies: tuple[str, ...]

    def setUp(self) -> None:
        self.cluster = installation()
        self.admin = self.cluster.admin

    def allowed(self, reply: Reply, what: str = "") -> None:
        self.assertIn(reply.status, (200, 201), f"{what}: {reply.body!r}")

    def refused(self, reply: Reply, what: str = "") -> None:
        """By the policy, and not for want of a right, which is 403."""
        self.assertEqual(reply.status, 422, f"{what}: {reply.body!r}")
        said = reply.document["message"]
        self.assertTrue(any(f"'{policy}'" in said for policy in self.policies), f"{what}: {said}")
