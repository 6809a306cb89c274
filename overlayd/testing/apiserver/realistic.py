"""Nodes as a cloud cluster of some size has them: labels, conditions, images, two podCIDRs.

Deterministic: Node `n` is the same in every run.
"""

import base64
import hashlib
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import msgspec

from overlayd.testing.apiserver.refusals import Document

_NODE_NETWORK = IPv4Network("172.16.0.0/12")
_POD_NETWORK = IPv4Network("10.128.0.0/9")
_IMAGE_BASES = (
    "registry.example/kube-proxy",
    "registry.example/pause",
    "registry.example/coredns",
    "registry.example/monitoring/node-exporter",
    "registry.example/storage/csi-driver",
)
_CONDITIONS = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


def realistic_nodes(count: int, size: int) -> Iterator[Document]:
    """Make `count` Nodes of about `size` bytes of JSON each, announced to the mesh.

    The size is reached with the list of images that kubelet reports; without any a Node has about
    2,500 bytes. At most 32,768 Nodes have pod networks of their own (10.128.0.0/9 in /24s).
    """
    if count < 1:
        return
    image = len(msgspec.json.encode(_images(0, 1)[0])) + 1
    bare = len(msgspec.json.encode(_node(0, 0)))
    images = max(0, round((size - bare) / image))
    for number in range(count):
        yield _node(number, images)


def _node(number: int, images: int) -> Document:
    name = f"node-{number:05d}"
    address = str(_NODE_NETWORK[number + 1])
    pods = IPv4Address(int(_POD_NETWORK[0]) + number * 256)
    return {
        "metadata": {
            "name": name,
            "labels": _labels(name, number),
            "annotations": _annotations(number, address),
        },
        "spec": {
            "podCIDRs": [f"{pods}/24", f"fd00:10:0:{number:x}::/64"],
            "providerID": f"cloud:///zone-{'abc'[number % 3]}/i-{_digest('i', number)[:17]}",
        },
        "status": _status(name, number, address, images),
    }


def _labels(name: str, number: int) -> dict[str, str]:
    return {
        "kubernetes.io/hostname": name,
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": "standard-8",
        "topology.kubernetes.io/region": "region-1",
        "topology.kubernetes.io/zone": f"zone-{'abc'[number % 3]}",
        "node.example/pool": f"pool-{number % 7}",
    }


def _annotations(number: int, address: str) -> dict[str, str]:
    overlay = IPv4Address(int(IPv4Address("100.64.0.0")) + number + 1)
    key = base64.b64encode(hashlib.sha256(f"key/{number}".encode()).digest()).decode()
    return {
        "node.alpha.kubernetes.io/ttl": "0",
        "volumes.kubernetes.io/controller-managed-attach-detach": "true",
        "csi.volume.kubernetes.io/nodeid": f'{{"csi.example":"i-{_digest("i", number)[:17]}"}}',
        "alpha.kubernetes.io/provided-node-ip": address,
        "wireguard-publickey": key,
        "wireguard-ip": str(overlay),
    }


def _status(name: str, number: int, address: str, images: int) -> Document:
    resources = {"cpu": "8", "ephemeral-storage": "83873772Ki", "memory": "32386812Ki"}
    beat = f"2026-01-01T{number % 24:02d}:{number % 60:02d}:00Z"
    times = {"lastHeartbeatTime": beat, "lastTransitionTime": beat}
    return {
        "capacity": {**resources, "pods": "110"},
        "allocatable": {**resources, "pods": "110"},
        "conditions": [
            {"type": kind, "status": state, "reason": reason, "message": message, **times}
            for kind, state, reason, message in _CONDITIONS
        ],
        "addresses": [
            {"type": "InternalIP", "address": address},
            {"type": "Hostname", "address": name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": _node_info(number),
        "images": _images(number, images),
    }


def _node_info(number: int) -> dict[str, str]:
    return {
        "machineID": _digest("machine", number)[:32],
        "systemUUID": _digest("system", number)[:32],
        "bootID": _digest("boot", number)[:32],
        "kernelVersion": "6.12.0-1-cloud-amd64",
        "osImage": "Debian GNU/Linux 12 (bookworm)",
        "containerRuntimeVersion": "containerd://2.1.4",
        "kubeletVersion": "v1.36.2",
        "kubeProxyVersion": "",
        "operatingSystem": "linux",
        "architecture": "amd64",
    }


def _images(number: int, count: int) -> list[dict[str, Any]]:
    return [
        {
            "names": [
                f"{base}@sha256:{_digest(base, place)}",
                f"{base}:v1.{place}.{number % 3}",
            ],
            "sizeBytes": 10_000_000 + 4_321 * place,
        }
        for place in range(count)
        for base in [_IMAGE_BASES[place % len(_IMAGE_BASES)]]
    ]


def _digest(*parts: str | int) -> str:
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()
