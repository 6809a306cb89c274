"""What people are told of a teardown."""

from attrs import frozen

from overlayd.model.status import PassReport


@frozen
class Withdrawal:
    """What became of our annotations: the names that were removed, or why they stay."""

    removed: tuple[str, ...] = ()
    error: str | None = None


@frozen(kw_only=True)
class TeardownReport:
    """What a teardown did. `machine` is None where it was refused and nothing was touched."""

    withdrawal: Withdrawal
    machine: PassReport | None = None
    foreign: tuple[str, ...] = ()  # what has our device's name, is not ours, and stays
    forwarding: bool | None = None  # net.ipv4.ip_forward, which stays as it is
