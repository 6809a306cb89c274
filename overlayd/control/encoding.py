"""The documents that go over the control socket, and that `overlayctl -o json` prints.

Field names are camelCase as in Kubernetes, durations are seconds, counters are bytes. Every text
has a limit, so that a status and an item of a list always fit into an AMP value.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import overlayd
from overlayd.control.pages import Document
from overlayd.control.wire import FORMAT
from overlayd.model.changes import Change, listed
from overlayd.model.machine import Peer
from overlayd.model.status import (
    PEER_STATES,
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
    Status,
)
from overlayd.model.teardown import TeardownReport
from overlayd.model.text import shortened
from overlayd.plan.result import Plan

T = TypeVar("T")

TEXT_LIMIT = 1_000  # characters; six bytes each at the most, and no document has ten such texts
PREFIX_LIMIT = 1_000  # of one peer: 43 characters at the most, quotes and a comma
ADDRESS_LIMIT = 100  # of the device


def status_document(status: Status) -> Document:
    announcement = status.announcement
    return {
        "format": FORMAT,
        "version": overlayd.__version__,
        "state": status.state.name.value,
        "message": _cut(status.state.message),
        "ready": status.ready,
        "node": _cut(status.node),
        "uptime": status.uptime,
        "device": _device(status.device),
        "peers": {state: status.peers.get(state, 0) for state in PEER_STATES},
        "inventory": _optional(status.inventory, _inventory),
        "api": _api(status.api),
        "announcement": {"written": announcement.written, "reason": _cut(announcement.reason)},
        "lastPass": _optional(status.last_pass, pass_document),
        "lastPassAge": status.last_pass_age,
        "nextRetry": status.next_retry,
        "repaired": status.repaired,
        "counts": {
            "quarantines": len(status.quarantines),
            "held": len(status.held),
            "notAnnounced": len(status.not_announced),
            "notCarried": len(status.not_carried),
            "foreignRoutes": len(status.foreign_routes),
            "fights": len(status.fights),
            "repairs": len(status.repairs),
        },
    }


def _device(device: DeviceStatus) -> Document:
    return {
        "link": _cut(device.link),
        "tunnel": _cut(device.tunnel),
        "present": device.present,
        "answers": device.answers,
        "up": device.up,
        "publicKey": _optional(device.public_key, str),
        "listenPort": device.listen_port,
        "mtu": device.mtu,
        "addresses": [str(a) for a in device.addresses[:ADDRESS_LIMIT]],
    }


def _inventory(inventory: InventoryStatus) -> Document:
    return {
        "nodes": inventory.nodes,
        "resourceVersion": _cut(inventory.resource_version),
        "age": inventory.age,
    }


def _api(api: ApiStatus) -> Document:
    return {
        "connected": api.connected,
        "error": _optional(api.error, _cut),
        "heard": api.heard,
        "lists": api.lists,
        "watches": api.watches,
    }


def pass_document(report: PassReport) -> Document:
    """A pass; what it changed is a list of its own."""
    return {
        "number": report.number,
        "why": _cut(report.why),
        "began": report.began,
        "duration": report.duration,
        "changeCount": len(report.changes),
        "failureCount": len(report.failures),
        "error": _optional(report.error, _cut),
    }


def change_document(change: ChangeReport) -> Document:
    return {
        "change": _cut(change.text),
        "why": _cut(change.why),
        "error": _optional(change.error, _cut),
    }


def past_document(past: PastPass) -> Document:
    """A pass of the history. `changesKept` is how many of its changes can be listed."""
    return {
        **pass_document(past.report),
        "changeCount": past.change_count,
        "failureCount": past.failure_count,
        "changesKept": len(past.report.changes),
        "repeated": past.repeated,
        "repeatedAt": past.repeated_at,
    }


def plan_document(plan: Plan) -> Document:
    """What a pass would do now. `state` is null where nothing stands in the way."""
    return {
        "state": None if plan.state is None else plan.state.name.value,
        "message": "" if plan.state is None else _cut(plan.state.message),
        "counts": {"changes": len(plan.changes), "held": len(plan.held)},
    }


def planned_document(change: Change) -> Document:
    return {"change": _cut(str(change)), "why": _cut(change.why)}


def teardown_document(report: TeardownReport) -> Document:
    """What a teardown did; `machine` is null where it was refused and nothing was touched."""
    return {
        "withdrawn": list(report.withdrawal.removed),
        "notWithdrawn": _optional(report.withdrawal.error, _cut),
        "machine": _optional(report.machine, pass_document),
        "leftAlone": [_cut(text) for text in report.foreign],
        "ipForward": report.forwarding,
    }


def peer_document(status: PeerStatus) -> Document:
    """A peer. `latestHandshake` is seconds since the epoch, as in `wg show`, or null for never."""
    peer: Peer = status.peer
    prefixes = listed(peer.allowed_ips).split(", ") if peer.allowed_ips else []
    return {
        "node": _cut(status.node),
        "state": status.state,
        "publicKey": str(peer.key),
        "endpoint": _optional(peer.endpoint, lambda endpoint: _cut(str(endpoint))),
        "allowedIPs": prefixes[:PREFIX_LIMIT],
        "allowedIPCount": len(prefixes),
        "latestHandshake": peer.last_handshake,
        "received": peer.received,
        "sent": peer.sent,
        "persistentKeepalive": peer.keepalive,
    }


def quarantine_document(quarantine: Quarantine) -> Document:
    return {
        "node": _cut(quarantine.node),
        "claim": quarantine.claim.value,
        "text": _cut(quarantine.text),
        "reason": _cut(quarantine.reason),
    }


def held_document(held: Held) -> Document:
    return {
        "node": _cut(held.node),
        "publicKey": str(held.key),
        "remaining": held.remaining,
        "until": held.until,
    }


def name_document(name: str) -> Document:
    """A Node, a prefix or a repair of which nothing but the name is to be said."""
    return {"name": _cut(name)}


def foreign_route_document(foreign: ForeignRoute) -> Document:
    route = foreign.route
    return {
        "destination": str(route.destination),
        "link": _cut(route.link),
        "gateway": _optional(route.gateway, str),
        "reason": _cut(foreign.reason),
    }


def repair_document(repair: Repair) -> Document:
    return {"at": repair.at, "change": _cut(repair.text), "why": _cut(repair.why)}


def _optional(value: T | None, document: Callable[[T], Any]) -> Any:
    return None if value is None else document(value)


def _cut(text: str) -> str:
    return shortened(text, TEXT_LIMIT)
