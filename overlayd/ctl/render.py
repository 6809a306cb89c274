"""What `overlayctl` shows to people, made of the documents that `-o json` prints. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from overlayd.ctl.render_passes import change_lines, held_hint, held_text, more, pass_summary
from overlayd.ctl.words import counted, duration, size
from overlayd.model.text import printable

Document = Mapping[str, Any]
Rows = list[list[str]]

SHOWN = 10
"""How many items of a list the status shows; the rest are in `-o json`."""

PEERS_HEAD = ("NODE", "STATE", "HANDSHAKE", "ENDPOINT", "ALLOWED IPS", "RECEIVED", "SENT")
QUARANTINES_HEAD = ("NODE", "CLAIM", "TEXT", "REASON")

_LABEL_WIDTH = 16


def peer_rows(peers: Sequence[Document], now: float) -> Rows:
    """`now` is seconds since the epoch: handshakes are counted from there."""
    return [
        [
            peer["node"] or "(no node)",
            peer["state"],
            _handshake(peer["latestHandshake"], now),
            peer["endpoint"] or "(none)",
            _prefixes(peer),
            size(peer["received"]),
            size(peer["sent"]),
        ]
        for peer in peers
    ]


def _handshake(latest: float | None, now: float) -> str:
    if latest is None:
        return "never"
    if latest - now >= 1:  # the clock was set back since
        return f"{duration(latest - now)} ahead"
    return f"{duration(int(now - latest))} ago"


def _prefixes(peer: Document) -> str:
    prefixes: list[str] = peer["allowedIPs"]
    more = peer["allowedIPCount"] - len(prefixes)
    return ", ".join([*prefixes, *([f"and {more:,} more"] if more else [])]) or "(none)"


def quarantine_rows(quarantines: Sequence[Document]) -> Rows:
    return [[q["node"], q["claim"], q["text"], q["reason"]] for q in quarantines]


def readiness_line(status: Document) -> str:
    if status["ready"]:
        return "ready"
    api = status["api"]
    why = f"; API server {printable(_api(api))}" if api["error"] else ""
    return f"not ready: {_state(status)}{why}"


def _state(status: Document) -> str:
    message = status["message"]
    return printable(f"{status['state']}: {message}" if message else status["state"])


def status_lines(status: Document) -> Iterator[str]:
    """The status, without quarantines. Of each list in it there may be more than it holds."""
    device = status["device"]
    yield _line("State", _state(status))
    if status["api"]["error"]:  # with whatever else stands in the way, the Nodes may be old
        yield _line("API server", _api(status["api"]))
    yield _line("Ready", "yes" if status["ready"] else "no")
    yield _line("Node", status["node"])
    yield _line("overlayd", f"{status['version']}, running for {duration(status['uptime'])}")
    yield _line("Announced", _announced(status["announcement"]))
    yield _line("Device", _device(device))
    yield _line("Public key", device["publicKey"] or _none(device))
    yield _line("Addresses", ", ".join(device["addresses"]) or _none(device))
    yield _line("Peers", _peers(status["peers"]) if device.get("answers", True) else "not known")
    yield _line("Inventory", _inventory(status["inventory"]))
    if not status["api"]["error"]:
        yield _line("API server", _api(status["api"]))
    yield from _last_pass(status)
    if status["nextRetry"] is not None:
        yield _line("Next try", f"in {duration(status['nextRetry'])}")
    yield from _lists(status)


def _line(label: str, text: str) -> str:
    return f"{label + ':':<{_LABEL_WIDTH}}{printable(text)}"


def _announced(announcement: Document) -> str:
    if announcement["written"]:
        return "yes"
    return f"no: {announcement['reason']}" if announcement["reason"] else "no"


def _none(device: Document) -> str:
    return "none" if device.get("answers", True) else "not known"


def _device(device: Document) -> str:
    if not device.get("answers", True):
        return f"{device['link']} ({device['tunnel']}): it does not answer"
    if not device["present"]:
        return f"{device['link']} ({device['tunnel']}): there is none of ours"
    up = "up" if device["up"] else "down"
    return (
        f"{device['link']} ({device['tunnel']}), {up}, UDP port {device['listenPort']}, "
        f"MTU {device['mtu']}"
    )


def _peers(counts: Mapping[str, int]) -> str:
    total = sum(counts.values())
    states = ", ".join(f"{count:,} {state}" for state, count in counts.items() if count)
    return f"{total:,} ({states})" if states else f"{total:,}"


def _inventory(inventory: Document | None) -> str:
    if inventory is None:
        return "none yet"
    return (
        f"{counted(inventory['nodes'], 'node')}, version {inventory['resourceVersion']}, "
        f"the same for {duration(inventory['age'])}"
    )


def _api(api: Document) -> str:
    if api["connected"] is not None:
        return f"watched for {duration(api['connected'])}"
    if not api["error"]:
        return "not watched yet"
    heard = f", last heard {duration(api['heard'])} ago" if api["heard"] is not None else ""
    return f"not watched{heard}: {api['error']}"


def _last_pass(status: Document) -> Iterator[str]:
    report = status["lastPass"]
    if report is None:
        yield _line("Last pass", "none yet")
        return
    age = duration(status["lastPassAge"] or 0)
    yield _line("Last pass", f"{age} ago, {pass_summary(report)}")
    yield from change_lines(report)


def _lists(status: Document) -> Iterator[str]:
    yield from _list(status, "held", "Held peers", held_text)
    yield from held_hint(status.get("held", ()))
    yield from _list(status, "notAnnounced", "Not announced", lambda item: item["name"])
    yield from _list(status, "notCarried", "Not carried", lambda item: item["name"])
    yield from _list(status, "foreignRoutes", "Foreign routes", _foreign_route)
    yield from _list(status, "fights", "Fought over", lambda item: item["name"])
    yield from _repairs(status)


def _list(
    status: Document,
    name: str,
    label: str,
    text: Callable[[Document], str],
) -> Iterator[str]:
    count = status["counts"].get(name, 0)  # an older daemon may not know of it
    if not count:
        return
    yield _line(label, f"{count:,}")
    items = status.get(name, [])
    for item in items:
        yield printable(f"  {text(item)}")
    yield from more(count - len(items))


def _foreign_route(route: Document) -> str:
    via = f" via {route['gateway']}" if route["gateway"] else ""
    dev = f" dev {route['link']}" if route["link"] else ""
    return f"{route['destination']}{via}{dev}: {route['reason']}"


def _repairs(status: Document) -> Iterator[str]:
    """How many there were, and the last; the history tells them all."""
    if not status["repaired"]:
        return
    yield _line("Drift repaired", f"{status['repaired']:,}; overlayctl history tells of them")
    for repair in status.get("repairs", [])[-1:]:
        yield printable(f"  {repair['at']} {repair['change']} ({repair['why']})")
