"""Where peers are dialled: what a Node says, and what WireGuard learned by itself."""

from attrs import frozen

from overlayd.model.machine import Peer
from overlayd.model.node import WG_OVERLAY_PORT, Claim, Endpoint, Node
from overlayd.model.settings import Settings
from overlayd.model.status import Quarantine
from overlayd.plan.overlay import network_of, same_endpoint
from overlayd.plan.result import Memory, Now

FRESH = 180.0  # seconds for which a session lasts after its handshake (WireGuard's REJECT_AFTER)


@frozen
class Dialled:
    """Where a Node says it is dialled; None where it does not say, or says nonsense."""

    endpoint: Endpoint | None
    quarantine: Quarantine | None = None


def configured(settings: Settings, node: Node) -> Dialled:
    """The endpoint that a Node announces, else its InternalIP and the port of wg-overlay.

    One inside a network of ours would be dialled through the tunnel itself. One that cannot be read
    is not replaced by a guess.
    """
    endpoint = node.endpoint
    if endpoint is None:
        if node.unreadable(Claim.ENDPOINT) or node.address is None:
            return Dialled(None)
        endpoint = Endpoint(node.address, WG_OVERLAY_PORT)
    network = network_of(endpoint.address, settings.networks)
    if network is None:
        return Dialled(endpoint)
    reason = f"it lies inside {network}, which goes through the tunnel"
    return Dialled(None, Quarantine(node.name, Claim.ENDPOINT, str(endpoint), reason))


def why_move(peer: Peer, endpoint: Endpoint, memory: Memory, now: Now) -> str | None:
    """Why a peer is to be dialled at its configured endpoint now; None to leave it as it is.

    WireGuard follows a peer that roams, and knows better while the session lives. Once it is old,
    an endpoint to which we sent in vain since the reading before is given up.
    """
    if peer.endpoint is None:
        return "it has no endpoint"
    if same_endpoint(peer.endpoint, endpoint):
        return None
    before = memory.endpoints.get(peer.key)
    if before is not None and not same_endpoint(before, endpoint):
        return "its Node announces another endpoint"
    if is_fresh(peer, now.wall) or not _sent_in_vain(peer, memory):
        return None
    return f"no handshake for {FRESH:.0f} s, and no answer from {peer.endpoint}"


def is_fresh(peer: Peer, wall: float) -> bool:
    """Whether the last handshake is young, by a clock that may have been set since.

    One in the future is as old as it is ahead: a clock set back by an hour must not keep a dead
    endpoint for an hour.
    """
    return peer.last_handshake is not None and abs(wall - peer.last_handshake) < FRESH


def _sent_in_vain(peer: Peer, memory: Memory) -> bool:
    before = memory.before.get(peer.key)
    if before is None:
        return False
    sent, received = before.sent, before.received
    if peer.sent < sent or peer.received < received:
        sent = received = 0  # the device is another one than at the reading before
    return peer.sent > sent and peer.received == received
