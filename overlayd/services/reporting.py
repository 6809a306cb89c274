"""What the daemon says of itself: the services' readings put together into one status."""

from collections import Counter
from collections.abc import Callable, Sequence

from attrs import evolve
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel

from overlayd.model.machine import Peer
from overlayd.model.settings import Settings, TunnelKind
from overlayd.model.status import (
    AnnouncementStatus,
    ApiStatus,
    DeviceStatus,
    InventoryStatus,
    PassReport,
    PeerStatus,
    State,
    StateName,
    Status,
)
from overlayd.passes import PassResult
from overlayd.plan.claims import not_carried
from overlayd.plan.endpoints import is_fresh
from overlayd.plan.owners import not_announced
from overlayd.services.announcer import Announcer
from overlayd.services.manager import PeerManager
from overlayd.services.watch import NodeWatch

_HARMLESS = (
    StateName.CONVERGED,
    StateName.STARTING,
    StateName.STOPPING,
    StateName.TORN_DOWN,
    StateName.WAITING_FOR_POD_CIDRS,
)
NAMED = 20  # of the held peers, in one line of the log


class Reporting:
    """Answers for `overlayctl`. It reads what the services last learned, and asks nobody."""

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        settings: Settings,
        watch: NodeWatch,
        manager: PeerManager,
        announcer: Announcer,
        torn_down: Callable[[], State | None],
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._watch = watch
        self._manager = manager
        self._announcer = announcer
        self._torn_down = torn_down
        self._began = clock.seconds()
        self._noted: State | None = None
        self._noted_held: frozenset[str] = frozenset()

    def status(self) -> Status:
        now, manager, result = self._clock.seconds(), self._manager, self._seen()
        inventory = manager.inventory
        status = Status(
            state=self.state(),
            ready=self._ready(),
            node=self._settings.node_name,
            uptime=now - self._began,
            device=self._device(result),
            api=self._api(),
            announcement=AnnouncementStatus(self._announcer.announced, self._announcer.reason),
            last_pass=manager.ledger.report,
            last_pass_age=now - manager.ledger.finished_at if manager.ledger.report else None,
            next_retry=manager.next_in if manager.ledger.attempts else None,
            fights=tuple(sorted(manager.ledger.drift.fights)),
            repaired=manager.ledger.drift.total,
            repairs=manager.ledger.drift.last,
        )
        if inventory is not None:
            age = now - manager.inventory_at
            status = evolve(
                status,
                inventory=InventoryStatus(len(inventory.nodes), inventory.resource_version, age),
                not_announced=not_announced(self._settings, inventory.nodes.values()),
                not_carried=not_carried(inventory.nodes.values()),
            )
        if result is None:
            return status
        return evolve(
            status,
            peers=Counter(peer.state for peer in self.peers()),
            quarantines=result.plan.quarantines,
            held=result.plan.held,
            foreign_routes=result.plan.foreign_routes,
        )

    def state(self) -> State:
        """What stands in the way, the worst first; converged where nothing does."""
        manager, result = self._manager, self._manager.ledger.result
        torn_down = self._torn_down()
        if torn_down is not None:
            return torn_down
        if not manager.running:
            return State(StateName.STOPPING)
        if result is not None and result.plan.state is not None:
            return result.plan.state
        if manager.ledger.attempts:
            return State(StateName.RETRYING, _trouble(manager.ledger.trouble))
        if result is None or manager.inventory is None:
            return State(StateName.STARTING, "waiting for the first list of Nodes")
        if result.forwarding_error is not None:
            return State(
                StateName.FORWARDING_OFF,
                f"pods' packets are not forwarded: {result.forwarding_error}",
            )
        if not self._announcer.announced:
            name = StateName.STARTING if self._announcer.under_way else StateName.NOT_ANNOUNCED
            return State(name, self._announcer.reason)
        return State(StateName.CONVERGED)

    def note_state(self) -> None:
        """Log the state, and what is held, where they are others than when this was called last."""
        result = self._manager.ledger.result
        held = frozenset(h.node or str(h.key) for h in result.plan.held) if result else frozenset()
        state = self.state()
        new = held - self._noted_held
        if new and state.name is StateName.NODE_MISSING:
            self._log.warn(
                "no peer goes while our own Node is missing; held: {names}", names=_some(new)
            )
        elif new:
            self._log.warn(
                "so many peers would go at once that their removal waits up to five minutes; "
                "`overlayctl confirm` lets them go now: {names}",
                names=_some(new),
            )
        self._noted_held = held
        if state != self._noted:
            self._noted = state
            message = f": {state.message}" if state.message else ""
            level = LogLevel.info if state.name in _HARMLESS else LogLevel.warn
            self._log.emit(level, "state {state}{message}", state=state.name.value, message=message)

    def peers(self) -> Sequence[PeerStatus]:
        """The peers as the last pass read them, by the name of their Node."""
        result = self._seen()
        if result is None or result.known.device is None:
            return ()
        held = {h.key: h.node for h in result.plan.held}
        wall = self._manager.wall()
        found = []
        for key, peer in result.known.device.peers.items():
            name = result.plan.names.get(key, held.get(key, ""))
            state = "held" if key in held else _state(peer, wall) if name else "unknown"
            found.append(PeerStatus(name, peer, state))
        return sorted(found, key=lambda p: (p.node, p.peer.key))

    def _api(self) -> ApiStatus:
        api = self._watch.status()
        if self._torn_down() is None:
            return api
        return evolve(api, connected=None, heard=None, error="this node is taken down")

    def _seen(self) -> PassResult | None:
        """What the last pass saw, as long as it is there."""
        return self._manager.ledger.result if self._torn_down() is None else None

    def _ready(self) -> bool:
        """Whether this node carries pods. An API server that dies later changes nothing in that."""
        result = self._seen()
        return (
            self._manager.ledger.has_converged
            and self._announcer.has_announced
            and result is not None
            and result.plan.state is None
            and result.forwarding_error is None
        )

    def _device(self, result: PassResult | None) -> DeviceStatus:
        name = self._settings.wg_dev
        device = DeviceStatus(name, self._tunnel(result).value)
        if result is None or result.known.device is None or result.public_key is None:
            return evolve(device, answers=result is None or result.error is None)
        link = result.known.links.get(name)
        return evolve(
            device,
            present=True,
            up=link is not None and link.up,
            public_key=result.public_key,
            listen_port=result.known.device.listen_port,
            mtu=link.mtu if link else 0,
            addresses=tuple(sorted(result.known.addresses_of(name), key=str)),
        )

    def _tunnel(self, result: PassResult | None) -> TunnelKind:
        """What drives the device: what its link is, else what is to make it."""
        link = result.known.links.get(self._settings.wg_dev) if result is not None else None
        there = TunnelKind.of_link(link.kind) if link is not None else None
        return there or self._settings.tunnel


def _some(names: frozenset[str]) -> str:
    """Names for one line of the log."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(sorted(names)[:NAMED]) + more


def _trouble(report: PassReport | None) -> str:
    """What went wrong in the last pass: the first thing, and how many more."""
    if report is None:
        return ""
    if report.error is not None:
        return report.error
    failures = report.failures
    more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
    return f"{failures[0].text}: {failures[0].error}{more}" if failures else ""


def _state(peer: Peer, wall: float) -> str:
    if peer.last_handshake is None:
        return "never"
    return "up" if is_fresh(peer, wall) else "idle"
