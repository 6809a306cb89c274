"""What our Node should say of us, and in what it differs from what it says."""

from collections.abc import Mapping

from overlayd.model.keys import PublicKey
from overlayd.model.node import (
    ADDRESS_ANNOTATION,
    ADDRESSES_ANNOTATION,
    ANNOTATIONS,
    ENDPOINT_ANNOTATION,
    KEY_ANNOTATION,
    POD_CIDRS_ANNOTATION,
    WG_OVERLAY_PORT,
    Endpoint,
    Node,
)
from overlayd.model.settings import Settings
from overlayd.model.status import Own

Values = Mapping[str, str | None]
"""Annotations by name; None is one that should not be there."""


def announcement(settings: Settings, own: Own, node: Node, key: PublicKey) -> Values | None:
    """The annotations that our Node should carry; None while it must not be announced.

    wg-overlay's controller looks at a key once and never again, so a Node that has no podCIDRs yet
    would never carry pods there. The podCIDRs are announced in the text in which the Node has
    them, since an admission policy can compare nothing but text.
    """
    if own.address is None or own.overlay_address is None or not node.pod_cidrs_text:
        return None
    return {
        KEY_ANNOTATION: str(key),
        ADDRESS_ANNOTATION: str(own.overlay_address),
        ADDRESSES_ANNOTATION: None,  # only where there is more than the one IPv4 address
        ENDPOINT_ANNOTATION: str(Endpoint(own.address, settings.listen_port)),
        POD_CIDRS_ANNOTATION: node.pod_cidrs_text,
    }


def differences(wanted: Values, found: Mapping[str, str]) -> Values:
    """The part of `wanted` that `found` does not say already."""
    return {name: value for name, value in wanted.items() if found.get(name) != value}


def withdrawal(found: Mapping[str, str], key: PublicKey | None) -> Values:
    """The removal of our annotations, of those that are there.

    A Node that wg-overlay announced keeps what wg-overlay reads: it has none of the names that are
    ours alone, and a key that is not `key`, the one of our device as far as it is known.
    """
    ours = found.keys() - {KEY_ANNOTATION, ADDRESS_ANNOTATION}
    if not ours and (key is None or found.get(KEY_ANNOTATION) != str(key)):
        return {}
    return {name: None for name in ANNOTATIONS if name in found}


def unreachable_for_wg_overlay(settings: Settings, own: Own, node: Node) -> str | None:
    """Why nodes that still run wg-overlay cannot dial us; None if they can."""
    if settings.listen_port != WG_OVERLAY_PORT:
        return f"they know no port but {WG_OVERLAY_PORT}, and ours is {settings.listen_port}"
    if own.address != node.address:
        return f"they dial the first InternalIP {node.address}, and ours is {own.address}"
    return None
