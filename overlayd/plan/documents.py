"""Node documents of the API server, as bytes, to `Node` values.

Only the fields that are needed are decoded, and no value keeps the document alive. What is
malformed in one claim costs that claim: it is absent from the `Node` and has a `Fault`. Equal
documents give equal values.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from overlayd.model.errors import NotADocument
from overlayd.model.keys import PublicKey
from overlayd.model.node import (
    ADDRESS_ANNOTATION,
    ADDRESSES_ANNOTATION,
    ANNOTATIONS,
    ENDPOINT_ANNOTATION,
    KEY_ANNOTATION,
    POD_CIDRS_ANNOTATION,
    Claim,
    IPAddress,
    Node,
)
from overlayd.model.text import shown
from overlayd.plan.faults import Claims, kind
from overlayd.plan.notation import (
    MOST_ENTRIES,
    read_address,
    read_endpoint,
    read_host_address,
    read_ipv4_address,
    read_network,
    split_list,
)
from overlayd.plan.salvage import NULL, UNDECODABLE, object_of, raw_fields, value


class Metadata(msgspec.Struct, gc=False, rename="camel"):
    """ObjectMeta. Only the name has to be well-formed for the rest to be read."""

    name: str = ""
    uid: Any = None
    creation_timestamp: Any = None
    resource_version: Any = None
    annotations: Any = None


class _Status(msgspec.Struct, gc=False):
    addresses: Any = None


class _Document(msgspec.Struct, gc=False):
    metadata: Metadata
    spec: Any = None
    status: _Status | None = None


_document = msgspec.json.Decoder(_Document)


def node_from(raw: bytes | msgspec.Raw) -> Node:
    """Read a Node.

    :raises NotADocument: not even its name can be read.
    """
    return node_and_version(raw)[0]


def node_and_version(raw: bytes | msgspec.Raw) -> tuple[Node, str]:
    """Read a Node and its resourceVersion, "" where it has none that is text.

    :raises NotADocument: not even its name can be read.
    """
    try:
        document = _document.decode(raw)
    except UNDECODABLE as error:
        metadata, spec, addresses = _salvaged(raw, error)
    else:
        metadata, spec = document.metadata, document.spec
        addresses = None if document.status is None else document.status.addresses
    if not metadata.name:
        raise NotADocument("a Node without a name")
    version = metadata.resource_version
    return _node(metadata, spec, addresses), version if isinstance(version, str) else ""


def _salvaged(raw: bytes | msgspec.Raw, error: Exception) -> tuple[Metadata, Any, Any]:
    """Metadata, spec and addresses of a Node in which something cannot be read."""
    parts = raw_fields(raw) or {}
    said = raw_fields(parts.get("metadata", NULL))
    if said is None:
        raise NotADocument(f"not a Node: {shown(str(error))}") from None
    name = value(said.get("name", NULL))
    metadata = Metadata(
        name=name if isinstance(name, str) else "",
        uid=value(said.get("uid", NULL)),
        creation_timestamp=value(said.get("creationTimestamp", NULL)),
        resource_version=value(said.get("resourceVersion", NULL)),
        annotations=object_of(said.get("annotations", NULL), ANNOTATIONS),
    )
    status = object_of(parts.get("status", NULL), ("addresses",))
    if isinstance(status, dict):
        addresses = status.get("addresses")
    else:
        addresses = None if status is None else "status"
    return metadata, object_of(parts.get("spec", NULL), ("podCIDR", "podCIDRs")), addresses


def _node(metadata: Metadata, spec: Any, addresses: Any) -> Node:
    claims = Claims()
    ours = _our_annotations(metadata.annotations, claims)
    cidrs = _pod_cidrs(spec, claims)
    text = ",".join(cidr for cidr in cidrs if isinstance(cidr, str))
    if ours.get(POD_CIDRS_ANNOTATION) == text:
        ours[POD_CIDRS_ANNOTATION] = text  # one copy is enough for 5,000 Nodes
    return Node(
        name=metadata.name,
        uid=claims.text("uid", metadata.uid),
        created=claims.text("creationTimestamp", metadata.creation_timestamp),
        address=_internal_ip(addresses, claims),
        key=claims.read(Claim.KEY, ours.get(KEY_ANNOTATION), PublicKey.parse),
        overlay_addresses=_overlay_addresses(ours, claims),
        pod_cidrs=claims.each(Claim.POD_CIDR, cidrs, read_network),
        pod_cidrs_text=text,
        endpoint=claims.read(Claim.ENDPOINT, ours.get(ENDPOINT_ANNOTATION), read_endpoint),
        faults=tuple(claims.faults),
        annotations=ours,
    )


_CLAIM_OF = {
    KEY_ANNOTATION: Claim.KEY,
    ADDRESS_ANNOTATION: Claim.OVERLAY_ADDRESS,
    ADDRESSES_ANNOTATION: Claim.OVERLAY_ADDRESS,
    ENDPOINT_ANNOTATION: Claim.ENDPOINT,
}


def _our_annotations(found: Any, claims: Claims) -> dict[str, str]:
    """Our own five, as written; what anybody else writes does not matter."""
    if found is None:
        return {}
    if not isinstance(found, dict):
        for claim in dict.fromkeys(_CLAIM_OF.values()):
            claims.fault(claim, "metadata.annotations", f"{kind(found)} in place of an object")
        return {}
    ours = {}
    for name in ANNOTATIONS:
        value = found.get(name)
        if isinstance(value, str):
            ours[name] = value
        elif value is not None and name in _CLAIM_OF:
            claims.fault(_CLAIM_OF[name], name, f"{kind(value)} in place of text")
    return ours


def _internal_ip(addresses: Any, claims: Claims) -> IPAddress | None:
    """The first InternalIP, or a fault in its place.

    A later one is never taken instead: wg-overlay dials the first.
    """
    if addresses is None:
        return None
    entries = addresses if isinstance(addresses, list) else [None]
    for entry in entries:
        if not isinstance(entry, dict):
            claims.fault(Claim.INTERNAL_IP, "status.addresses", "not a list of objects")
            return None
        if entry.get("type") == "InternalIP":
            found = claims.each(Claim.INTERNAL_IP, [entry.get("address")], read_host_address)
            return found[0] if found else None
    return None


def _pod_cidrs(spec: Any, claims: Claims) -> list[Any]:
    if spec is None:
        return []
    if not isinstance(spec, dict):
        claims.fault(Claim.POD_CIDR, "spec", f"{kind(spec)} in place of an object")
        return []
    several, one = spec.get("podCIDRs"), spec.get("podCIDR")
    if several is not None and not isinstance(several, list):
        claims.fault(Claim.POD_CIDR, "spec.podCIDRs", f"{kind(several)} in place of a list")
        return []
    if several and len(several) > MOST_ENTRIES:
        claims.fault(Claim.POD_CIDR, "spec.podCIDRs", f"more than {MOST_ENTRIES} entries")
        return []
    if several:
        return several
    return [one] if one is not None and one != "" else []


def _overlay_addresses(ours: Mapping[str, str], claims: Claims) -> tuple[IPAddress, ...]:
    """All that the Node calls its own, in the order in which it says so, each once."""
    single = claims.read(Claim.OVERLAY_ADDRESS, ours.get(ADDRESS_ANNOTATION), read_ipv4_address)
    entries = claims.read(Claim.OVERLAY_ADDRESS, ours.get(ADDRESSES_ANNOTATION), split_list)
    several = claims.each(Claim.OVERLAY_ADDRESS, entries or [], read_address)
    return tuple(dict.fromkeys(several if single is None else (single, *several)))
