"""Numbered packets from a pod to an address that several machines have, and which came to none."""

import json
from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import Self

from lab.eventually import eventually, patience
from lab.flow import Report, pump
from lab.namespaces import Namespace
from lab.topology import Pod

_PORT = 6999
_LIMIT = patience(30.0)  # seconds for packets to be sent


class Anycast:
    """From now until `finish`; the machines get the address, and it is each one's own."""

    def __init__(
        self, pod: Pod, address: IPv4Address, machines: Sequence[Namespace], rate: int
    ) -> None:
        self._rate = rate
        self._sender = pump(pod.namespace, pod.address, address, _PORT, rate)
        self._receivers = []
        for machine in machines:
            machine.run("ip", "addr", "add", f"{address}/32", "dev", "lo")
            self._receivers.append(pump(machine, address, pod.address, _PORT, rate))
        for end in (*self._receivers, self._sender):
            end.ask("listen")
        self._sender.ask("send")

    def carry(self) -> None:
        """Wait until the packets of another second are sent."""
        enough = self._sent() + self._rate
        eventually(_LIMIT, "packets are sent", lambda: self._sent() >= enough)

    def finish(self) -> tuple[Report, list[list[int]]]:
        """Stop sending, and tell what arrived nowhere, and what arrived at each machine."""
        sent = int(self._sender.ask("stop"))
        missing = [set(json.loads(end.ask(f"report {sent}"))) for end in self._receivers]
        self.close()
        lost = tuple(sorted(set.intersection(*missing)))
        arrived = [[n for n in range(sent) if n not in each] for each in missing]
        return Report(sent, lost, self._rate), arrived

    def _sent(self) -> int:
        return int(self._sender.ask("sent"))

    def close(self) -> None:
        for end in (self._sender, *self._receivers):
            end.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
