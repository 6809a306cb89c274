"""What every tunnel does, as one suite: subclass it and say how a tunnel is made.

Import this package, not the class, or trial runs the class itself too.
"""

from tests.tunnel_contract.device import DevicePromises
from tests.tunnel_contract.lists import ListPromises
from tests.tunnel_contract.peers import PeerPromises


class TunnelContract(DevicePromises, PeerPromises, ListPromises):
    """The promises of `ITunnel`."""
