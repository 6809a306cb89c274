"""net.ipv4.ip_forward, through /proc/sys as sysctl(8) does."""

from pathlib import Path

from overlayd.model.errors import NetworkError

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


def forwarding() -> bool:
    """Whether packets that are not for this machine are passed on.

    :raises NetworkError: the kernel does not say.
    """
    try:
        return FORWARDING.read_text("ascii").strip() == "1"
    except (OSError, ValueError) as error:
        raise NetworkError(f"cannot read {FORWARDING}: {error}") from error


def enable_forwarding() -> str | None:
    """Pass packets on; None, or what went wrong and the command that helps.

    In most containers /proc/sys is read-only, which is no fault that goes away.
    """
    try:
        FORWARDING.write_text("1\n", "ascii")
    except OSError as error:
        return f"{error.strerror}: on the host, run `sysctl -w net.ipv4.ip_forward=1`"
    return None
