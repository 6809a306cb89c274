"""Which WireGuard drives the device, and what is said of one that is of the other kind."""

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.machine import ALIAS, Link, Observed
from overlayd.model.settings import TunnelKind
from overlayd.model.status import StateName
from overlayd.tunnel.chosen import choose
from tests.pure.cluster import (
    NODE_B,
    PEER_B,
    SETTINGS,
    bare,
    device,
    inventory,
    planned,
    with_link,
    working,
)

AUTO, KERNEL, USERSPACE = TunnelKind.AUTO, TunnelKind.KERNEL, TunnelKind.USERSPACE


class ChooseTests(SynchronousTestCase):
    def chosen(
        self,
        wanted: TunnelKind,
        there: TunnelKind | None = None,
        before: TunnelKind | None = None,
        kernel: bool | None = None,
    ) -> TunnelKind:
        """What is chosen; `kernel` None is a kernel that must not be asked."""

        def asked() -> bool:
            assert kernel is not None, "the kernel was asked"
            return kernel

        return choose(wanted, there, before, asked)

    def test_auto(self) -> None:
        """Where there is no device yet, the kernel's is made where it can be."""
        self.assertIs(self.chosen(AUTO, kernel=True), KERNEL)
        self.assertIs(self.chosen(AUTO, kernel=False), USERSPACE)

    def test_what_is_there_is_driven(self) -> None:
        """A device that is there is driven, whatever is wanted, and the kernel is not asked."""
        for wanted in TunnelKind:
            for there in (KERNEL, USERSPACE):
                self.assertIs(self.chosen(wanted, there), there)
                self.assertIs(self.chosen(wanted, there, before=KERNEL), there)

    def test_vanished(self) -> None:
        """With `auto` a device of ours that vanished is made again as it was."""
        self.assertIs(self.chosen(AUTO, before=USERSPACE), USERSPACE)
        self.assertIs(self.chosen(AUTO, before=KERNEL), KERNEL)

    def test_as_wanted(self) -> None:
        """A kind that is named is made, whatever was there before, and the kernel is not asked."""
        for wanted in (KERNEL, USERSPACE):
            for before in (None, KERNEL, USERSPACE):
                self.assertIs(self.chosen(wanted, None, before), wanted)

    def test_kinds_of_links(self) -> None:
        """A tun link may be wireguard-go's; other links are no tunnel."""
        kinds = {kind: TunnelKind.of_link(kind) for kind in ("tun", "wireguard", "veth", "")}
        self.assertEqual(kinds, {"tun": USERSPACE, "wireguard": KERNEL, "veth": None, "": None})


class OtherTunnelTests(SynchronousTestCase):
    """A device of ours that is of another kind than `--tunnel` names."""

    def of_kind(self, kind: str) -> Observed:
        there = working(PEER_B)
        return evolve(there, links={**there.links, "wg0": evolve(there.links["wg0"], kind=kind)})

    def test_kept(self) -> None:
        """It is kept, in a state that names the teardown, and not made anew if it does not answer.

        That is for whoever changes the kind to do: it ends every session.
        """
        for kind, wanted in (
            ("tun", KERNEL),
            ("wireguard", USERSPACE),
            ("wireguard", TunnelKind.EXTERNAL),
        ):
            there = self.of_kind(kind)
            for observed in (there, evolve(there, device=None)):
                decided = planned(
                    observed, inventory(NODE_B), settings=evolve(SETTINGS, tunnel=wanted)
                )
                assert decided.state is not None
                self.assertIs(decided.state.name, StateName.OTHER_TUNNEL)
                self.assertEqual(decided.changes, ())
                self.assertTrue(decided.ours)
                self.assertIn("overlayctl teardown", decided.state.message)
                self.assertIn(f"change to {wanted.value}", decided.state.message)

    def test_kept_right(self) -> None:
        """One that works goes on as any other: it is repaired, and follows the cluster."""
        there = evolve(self.of_kind("tun"), rules=())
        for nodes in (None, inventory(NODE_B), inventory()):
            other = planned(there, nodes, settings=evolve(SETTINGS, tunnel=KERNEL))
            same = planned(there, nodes, settings=evolve(SETTINGS, tunnel=USERSPACE))
            assert other.state is not None
            self.assertTrue(other.changes)
            self.assertEqual(evolve(other, state=same.state), same)

    def test_as_named(self) -> None:
        """One of the kind that is named, or any with `auto`, is as right as ever."""
        for kind, wanted in (
            ("tun", USERSPACE),
            ("wireguard", KERNEL),
            ("tun", AUTO),
            ("wireguard", AUTO),
        ):
            decided = planned(
                self.of_kind(kind), inventory(NODE_B), settings=evolve(SETTINGS, tunnel=wanted)
            )
            self.assertEqual((decided.state, decided.changes), (None, ()))

    def test_foreign(self) -> None:
        """One that is not ours is foreign, and not taken over either."""
        link = Link(3, "wg0", "wireguard", "", 1420, up=True)
        there = evolve(with_link(bare(), link), device=device(PEER_B))
        for adopt, said in ((False, "choose another --wg-dev"), (True, "of --tunnel kernel, not")):
            chosen = evolve(SETTINGS, tunnel=USERSPACE, adopt=adopt)
            decided = planned(there, inventory(NODE_B), settings=chosen)
            assert decided.state is not None
            self.assertIs(decided.state.name, StateName.FOREIGN_DEVICE)
            self.assertEqual(decided.changes, ())
            self.assertIn(said, decided.state.message)

    def test_marked(self) -> None:
        """A device whose process is gone is ours by its alias, and of its kind still."""
        there = with_link(bare(), Link(3, "wg0", "tun", ALIAS, 1420, up=True))
        decided = planned(there, inventory(NODE_B), settings=evolve(SETTINGS, tunnel=KERNEL))
        assert decided.state is not None
        self.assertIs(decided.state.name, StateName.OTHER_TUNNEL)
