"""Which name servers this machine asks."""

from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

from overlayd.model.errors import NetworkError
from overlayd.model.node import IPAddress

RESOLV_CONF = Path("/etc/resolv.conf")


def read_resolvers(path: Path = RESOLV_CONF) -> frozenset[IPAddress]:
    """The addresses after `nameserver` in resolv.conf(5); none where there is no such file.

    What is not an address is left out, as the resolver leaves it out.

    :raises NetworkError: the file is there and cannot be read.
    """
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()
    except OSError as error:
        raise NetworkError(f"cannot read {path}: {error}") from error
    found = set()
    for line in lines:
        match line.split():
            case ["nameserver", address, *_]:
                with suppress(ValueError):
                    found.add(ip_address(address.partition("%")[0]))
    return frozenset(found)
