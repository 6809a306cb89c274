"""The one interface that overlayd defines: a WireGuard device under one name."""

from collections.abc import Sequence

from zope.interface import Attribute, Interface

from overlayd.model.changes import Outcome, TunnelChange
from overlayd.model.keys import PublicKey
from overlayd.model.machine import Device


class ITunnel(Interface):
    """A WireGuard device. Blocking, used by one thread at a time; it neither sleeps nor retries.

    A pass calls `observe` once and then `apply` for each run of tunnel changes in its plan.
    Whatever it finds is the truth: someone else may have changed the device since the last pass.
    """

    name: str = Attribute("The implementation in a word or two, for people.")

    def observe() -> Device | None:
        """Read the whole device; None where there is none that answers.

        :raises overlayd.model.errors.TunnelError: there is one and it cannot be read.
        """

    def remember() -> None:
        """Keep the private key of the last reading, in memory alone: the device is ours.

        Not part of `observe`, or a foreign device would pass for ours by its key. A reading without
        a key changes nothing: the device gets back what it lost.
        """

    def remembered() -> PublicKey | None:
        """Whose private key is in memory: what `GiveKey` gives, a new one where this is None."""

    def apply(changes: Sequence[TunnelChange]) -> list[Outcome]:
        """Make the changes in their order; answer one outcome for each, in the same order.

        What can be one request is one. Where a request fails, the device is read and its changes
        are made one by one, so that one bad change costs itself alone. It never raises for a
        change that fails.
        """

    def close() -> None:
        """Let go of what this process holds open. The device stays as it is."""
