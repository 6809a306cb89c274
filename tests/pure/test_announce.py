"""What our Node should say."""

from ipaddress import ip_address, ip_network

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.keys import PublicKey
from overlayd.model.node import Node
from overlayd.model.settings import Settings
from overlayd.model.status import Own
from overlayd.plan.announce import announcement, differences, unreachable_for_wg_overlay

KEY = PublicKey(b"k" * 32)
SETTINGS = Settings(node_name="a")
ADDRESS = ip_address("172.30.0.11")
NODE = Node(
    "a",
    address=ADDRESS,
    pod_cidrs=(ip_network("10.244.1.0/24"), ip_network("fd00::/64")),
    pod_cidrs_text="10.244.1.0/24,fd00:0::/64",
)
OWN = Own(address=ADDRESS, overlay_address=ip_address("100.64.0.11"), pod_cidrs=NODE.pod_cidrs)


class AnnounceTests(SynchronousTestCase):
    def test_all_annotations(self) -> None:
        """Key, overlay address, endpoint, and the podCIDRs in the Node's own text."""
        self.assertEqual(
            announcement(SETTINGS, OWN, NODE, KEY),
            {
                "wireguard-publickey": str(KEY),
                "wireguard-ip": "100.64.0.11",
                "overlayd/overlay-ips": None,
                "overlayd/endpoint": "172.30.0.11:51820",
                "overlayd/pod-cidrs": "10.244.1.0/24,fd00:0::/64",
            },
        )

    def test_not_before_pod_cidrs(self) -> None:
        """A Node without podCIDRs is not announced: wg-overlay would never look again."""
        bare = evolve(NODE, pod_cidrs=(), pod_cidrs_text="")
        self.assertIsNone(announcement(SETTINGS, OWN, bare, KEY))

    def test_not_without_an_address(self) -> None:
        """Nothing is announced as long as nobody could dial us."""
        self.assertIsNone(announcement(SETTINGS, Own(), NODE, KEY))

    def test_differences(self) -> None:
        """What is there already is left out; what should not be there is taken away."""
        wanted = {"a": "1", "b": "2", "c": None, "d": None}
        self.assertEqual(differences(wanted, {"a": "1", "c": "x"}), {"b": "2", "c": None})

    def test_wg_overlay_can_dial_us(self) -> None:
        """Its nodes know the first InternalIP and port 51820, and nothing else."""
        self.assertIsNone(unreachable_for_wg_overlay(SETTINGS, OWN, NODE))
        other_port = Settings(node_name="a", listen_port=51821)
        self.assertIn("51821", unreachable_for_wg_overlay(other_port, OWN, NODE) or "")
        elsewhere = evolve(OWN, address=ip_address("172.30.0.99"))
        self.assertIn("172.30.0.99", unreachable_for_wg_overlay(SETTINGS, elsewhere, NODE) or "")
