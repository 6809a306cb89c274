"""Status values for the tests of what is shown to people: ordinary ones, and hostile ones."""

from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from attrs import evolve

from overlayd.model.changes import BringUp, GiveKey, RemovePeer
from overlayd.model.keys import PublicKey
from overlayd.model.machine import Peer, Route
from overlayd.model.node import Claim, Endpoint
from overlayd.model.status import (
    AnnouncementStatus,
    ApiStatus,
    ChangeReport,
    DeviceStatus,
    ForeignRoute,
    Held,
    InventoryStatus,
    PassReport,
    PastPass,
    PeerStatus,
    Quarantine,
    Repair,
    State,
    StateName,
    Status,
)
from overlayd.plan.result import Memory, Plan

LONGEST_NAME = ".".join(["n" * 63] * 3 + ["n" * 61])  # 253 characters, the most a Node can have

HOSTILE = "\x1b]0;owned\x07\r\n\u202e[bold]\\ \udc80 \U0001f600" * 300


def key(number: int) -> PublicKey:
    return PublicKey(number.to_bytes(32, "big"))


def report(number: int = 7, changes: int = 2) -> PassReport:
    return PassReport(
        number=number,
        why="2 nodes changed",
        began="2026-01-01T00:00:00Z",
        duration=0.0123,
        changes=tuple(ChangeReport(f"add peer n{i}", "announced") for i in range(changes)),
    )


def past(number: int, kept: int = 2) -> PastPass:
    """A pass of the history with two changes, of which some are kept."""
    return PastPass(report=report(number, kept), change_count=2, failure_count=0)


def plan() -> Plan:
    changes = (BringUp("wg0", "it was down"), GiveKey("it has none"))
    return Plan(changes, Memory(), held=(Held(key(5), "n5", 240.0, "2026-01-01T00:04:00.000Z"),))


def peer(number: int, name: str = "") -> PeerStatus:
    return PeerStatus(
        node=name or f"n{number}",
        peer=Peer(
            key=key(number),
            endpoint=Endpoint(IPv4Address("192.0.2.0") + number % 250, 51820),
            allowed_ips=frozenset({IPv4Network((0x0AF40000 + number * 256, 24))}),
            last_handshake=None,
            sent=148,
            received=2048,
        ),
        state="never",
    )


ORDINARY = Status(
    state=State(StateName.CONVERGED),
    ready=True,
    node="n0",
    uptime=3700.0,
    device=DeviceStatus(
        link="wg0",
        tunnel="userspace",
        present=True,
        up=True,
        public_key=key(1000),
        listen_port=51820,
        mtu=1420,
        addresses=(IPv4Interface("100.64.0.1/32"),),
    ),
    peers={"up": 2, "idle": 0, "never": 1, "held": 0, "unknown": 0},
    inventory=InventoryStatus(nodes=4, resource_version="1234", age=192.0),
    api=ApiStatus(connected=192.0),
    announcement=AnnouncementStatus(written=True),
    last_pass=report(),
    last_pass_age=12.0,
)

QUARANTINE = Quarantine("n9", Claim.POD_CIDR, "10.0.0.0/8", "lies outside the pod networks")

TROUBLED = evolve(
    ORDINARY,
    state=State(StateName.RETRYING, "2 changes failed"),
    ready=False,
    announcement=AnnouncementStatus(written=False, reason="403 Forbidden"),
    api=ApiStatus(error="connection refused"),
    next_retry=3.0,
    quarantines=(QUARANTINE,),
    held=(Held(key(5), "n5", 240.0, "2026-01-01T00:04:00.000Z"),),
    not_announced=("windows-1", "virtual-1"),
    not_carried=("fd00::/64",),
    foreign_routes=(
        ForeignRoute(Route(IPv4Network("10.244.3.0/25"), link="eth0"), "takes traffic of n3"),
    ),
    fights=("route 10.244.0.0/16 through wg0",),
    repaired=4,
    repairs=(Repair("2026-01-01T00:00:00Z", "add route", "someone deleted it"),),
    last_pass=evolve(
        report(), changes=(ChangeReport("add peer n1", "announced", "No such device"),)
    ),
)
"""One of everything that a status can tell."""


def hostile(length: int) -> Status:
    """A status with every text hostile and each of its lists `length` long."""
    change = ChangeReport(HOSTILE, HOSTILE, HOSTILE)
    return evolve(
        TROUBLED,
        state=State(StateName.CUTS_OFF_NODE, HOSTILE),
        node=HOSTILE,
        device=evolve(
            ORDINARY.device,
            link=HOSTILE,
            tunnel=HOSTILE,
            addresses=ORDINARY.device.addresses * length,
        ),
        inventory=InventoryStatus(2**63, HOSTILE, 1e300),
        api=ApiStatus(error=HOSTILE),
        announcement=AnnouncementStatus(reason=HOSTILE),
        quarantines=(Quarantine(HOSTILE, Claim.KEY, HOSTILE, HOSTILE),) * length,
        held=(Held(key(5), HOSTILE, 1.0, None),) * length,
        not_announced=(HOSTILE,) * length,
        not_carried=(HOSTILE,) * length,
        foreign_routes=(ForeignRoute(Route(IPv4Network("10.244.3.0/25"), link=HOSTILE), HOSTILE),)
        * length,
        fights=(HOSTILE,) * length,
        repairs=(Repair("2026-01-01T00:00:00Z", HOSTILE, HOSTILE),) * length,
        last_pass=evolve(report(), why=HOSTILE, error=HOSTILE, changes=(change,) * length),
    )


def hostile_past(number: int, length: int) -> PastPass:
    change = ChangeReport(HOSTILE, HOSTILE, HOSTILE)
    done = evolve(report(number), why=HOSTILE, error=HOSTILE, changes=(change,) * length)
    return PastPass(
        report=done, change_count=5_000, failure_count=length, repeated=3, repeated_at=HOSTILE[:40]
    )


def hostile_plan(length: int) -> Plan:
    changes = (RemovePeer(HOSTILE, key(5), HOSTILE),) * length
    held = (Held(key(5), HOSTILE, 1.0, None),) * length
    return Plan(changes, Memory(), State(StateName.CUTS_OFF_NODE, HOSTILE), held=held)


def hostile_peer(number: int) -> PeerStatus:
    """A peer with the longest name and more prefixes than a page could hold."""
    ordinary = peer(number, LONGEST_NAME)
    prefixes = frozenset(IPv4Network((0x0AF40000 + i, 32)) for i in range(5_000))
    return evolve(ordinary, peer=evolve(ordinary.peer, allowed_ips=prefixes))
