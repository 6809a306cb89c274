"""What a Kubernetes API server refuses in a Node. It is thin, and so is this.

Any text passes as an InternalIP (but not twice), control characters pass in an annotation,
`0.0.0.0/0` and upper-case IPv6 pass as podCIDRs, host bits too.
"""

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network

import msgspec

from overlayd.testing.apiserver.refusals import Document, FieldError

ANNOTATIONS_LIMIT = 262_144
"""Bytes of all keys and values of a Node's annotations together."""

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_NAME_PART = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_CIDR = re.compile(r"[0-9A-Fa-f:.]+/[0-9]+")


class _Metadata(msgspec.Struct):
    name: str = ""
    uid: str = ""
    resourceVersion: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class _Spec(msgspec.Struct):
    podCIDR: str = ""
    podCIDRs: list[str] = []
    providerID: str = ""
    unschedulable: bool = False


class _Address(msgspec.Struct):
    type: str = ""
    address: str = ""


class _Status(msgspec.Struct):
    addresses: list[_Address] = []


class _Node(msgspec.Struct):
    metadata: _Metadata
    spec: _Spec
    status: _Status


def with_matching_pod_cidrs(document: Document) -> Document:
    """Check the types of the fields that matter, and fill podCIDR and podCIDRs from each other.

    A podCIDR that is not the first of podCIDRs takes the place of all of them.

    :raises ValueError: a value has another type.
    """
    node = msgspec.convert(document, _Node)
    one, several = node.spec.podCIDR, node.spec.podCIDRs
    if not one and not several:
        return document
    if one and (not several or one != several[0]):
        several = [one]
    return {**document, "spec": {**document["spec"], "podCIDR": several[0], "podCIDRs": several}}


def errors_in(document: Document) -> Iterator[FieldError]:
    """What is wrong with a Node by itself."""
    metadata = document["metadata"]
    name = metadata.get("name", "")
    if not name:
        yield FieldError(
            "metadata.name",
            "FieldValueRequired",
            "Required value: name or generateName is required",
        )
    elif len(name) > 253 or not _SUBDOMAIN.fullmatch(name):
        why = f'Invalid value: "{name}": a lowercase RFC 1123 subdomain must consist of lower case '
        why += "alphanumeric characters, '-' or '.', and must start and end with an alphanumeric"
        yield FieldError("metadata.name", "FieldValueInvalid", f"{why} character")
    yield from _wrong_labels(metadata.get("labels", {}))
    yield from _wrong_annotations(metadata.get("annotations", {}))
    yield from _wrong_pod_cidrs(document["spec"].get("podCIDRs", []))
    yield from _repeated_addresses(document["status"].get("addresses", []))


def errors_between(old: Document, new: Document) -> Iterator[FieldError]:
    """What an update may not change."""
    if old["metadata"]["uid"] != new["metadata"]["uid"]:
        yield FieldError("metadata.uid", "FieldValueInvalid", "Invalid value: field is immutable")
    for name, why in (("podCIDRs", "podCIDR"), ("providerID", "providerID")):
        before = old["spec"].get(name)
        if before and before != new["spec"].get(name):
            yield FieldError(
                f"spec.{name}",
                "FieldValueForbidden",
                f'Forbidden: node updates may not change {why} except from "" to valid',
            )


def _wrong_labels(labels: Mapping[str, str]) -> Iterator[FieldError]:
    for key, value in labels.items():
        if not _qualified(key) or (value and not _name_part(value)):
            yield FieldError(
                "metadata.labels", "FieldValueInvalid", f'Invalid value: "{key}: {value}"'
            )


def _wrong_annotations(annotations: Mapping[str, str]) -> Iterator[FieldError]:
    for key in annotations:
        if not _qualified(key.lower()):
            why = f'Invalid value: "{key}": name part must consist of alphanumeric characters'
            yield FieldError("metadata.annotations", "FieldValueInvalid", why)
    size = sum(len(k.encode()) + len(v.encode()) for k, v in annotations.items())
    if size > ANNOTATIONS_LIMIT:
        why = f"Too long: may not be more than {ANNOTATIONS_LIMIT} bytes"
        yield FieldError("metadata.annotations", "FieldValueTooLong", why)


def _wrong_pod_cidrs(cidrs: list[str]) -> Iterator[FieldError]:
    families = []
    for index, text in enumerate(cidrs):
        network = parsed_cidr(text)
        if network is None:
            why = f'Invalid value: "{text}": must be a valid CIDR value, (e.g. 10.9.8.0/24)'
            yield FieldError(f"spec.podCIDRs[{index}]", "FieldValueInvalid", why)
        else:
            families.append(network.version)
    if len(set(families)) < len(families):
        why = "Invalid value: may specify no more than one CIDR for each IP family"
        yield FieldError("spec.podCIDRs", "FieldValueInvalid", why)


def _repeated_addresses(addresses: list[Document]) -> Iterator[FieldError]:
    for index, address in enumerate(addresses):
        if address in addresses[:index]:
            where = f"status.addresses[{index}]"
            yield FieldError(where, "FieldValueDuplicate", f"Duplicate value: {address}")


def parsed_cidr(text: str) -> IPv4Network | IPv6Network | None:
    """Read a prefix as Kubernetes' old fields do: host bits and leading zeros are allowed."""
    if not _CIDR.fullmatch(text):
        return None
    address, _, length = text.partition("/")
    head, colon, tail = address.rpartition(":")
    if "." in tail:
        address = head + colon + re.sub(r"(^|\.)0+(?=[0-9])", r"\1", tail)
    try:
        return ip_network(f"{address}/{length}", strict=False)
    except ValueError:
        return None


def _qualified(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    if slash and not (len(prefix) <= 253 and _SUBDOMAIN.fullmatch(prefix)):
        return False
    return _name_part(name)


def _name_part(text: str) -> bool:
    return len(text) <= 63 and _NAME_PART.fullmatch(text) is not None
