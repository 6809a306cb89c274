"""The machine's network stack as the passes know it: read whole, changed step by step."""

from overlayd.linux.reading import read_addresses, read_links, read_routes, read_rules
from overlayd.linux.resolvers import read_resolvers
from overlayd.linux.sysctl import enable_forwarding, forwarding
from overlayd.model.changes import EnableForwarding, NetworkChange, Outcome
from overlayd.model.machine import Observed
from overlayd.netlink.conversation import netlink


class Network:
    """Links, addresses, routes, rules and sysctls of the network namespace this process is in.

    Blocking, for any one thread at a time. It holds nothing open and remembers nothing: what it
    says is what the kernel said just now.
    """

    def observe(self) -> Observed:
        """Read everything but the tunnel: `device` and `remembered` are None.

        :raises overlayd.model.errors.NetworkError: something could not be read.
        """
        with netlink() as kernel:
            links = read_links(kernel)
            return Observed(
                links={link.name: link for link in links.values()},
                addresses=frozenset(read_addresses(kernel, links)),
                routes=frozenset(read_routes(kernel, links)),
                rules=tuple(read_rules(kernel)),
                resolvers=read_resolvers(),
                forwarding=forwarding(),
            )

    def apply(self, change: NetworkChange) -> Outcome:
        """Make one change; one that is made already, or whose object is gone, is made.

        It never raises for a change that fails: the outcome tells in words.
        """
        if isinstance(change, EnableForwarding):
            return Outcome(change, enable_forwarding())
        # pyroute2 costs 10 MiB and 0.15 s: not paid where everything is as it should be.
        from overlayd.linux.applying import make

        return Outcome(change, make(change))
