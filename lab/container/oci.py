"""A container of a pod as an OCI runtime takes it: what kubelet and containerd make of it. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lab.container.manifests import Document
from lab.container.seccomp import runtime_default
from lab.image import Image

ACCOUNT = "/run/serviceaccount"
"""The folder of a node with what kubelet gives a pod of its service account."""

_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"

_DEFAULT_CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID"),
    *("SETFCAP", "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"),
)
_MASKED = (
    *("/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats"),
    *("/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi"),
    "/sys/firmware",
)
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_NOT_RUN = ["nosuid", "noexec", "nodev"]
_MOUNTS: tuple[Document, ...] = (
    {"destination": "/proc", "type": "proc", "source": "proc", "options": _NOT_RUN},
    {
        "destination": "/dev",
        "type": "tmpfs",
        "source": "tmpfs",
        "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
    },
    {
        "destination": "/dev/pts",
        "type": "devpts",
        "source": "devpts",
        "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
    {
        "destination": "/dev/shm",
        "type": "tmpfs",
        "source": "shm",
        "options": [*_NOT_RUN, "mode=1777", "size=65536k"],
    },
    {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [*_NOT_RUN, "ro"]},
    {
        "destination": "/sys/fs/cgroup",
        "type": "cgroup",
        "source": "cgroup",
        "options": [*_NOT_RUN, "relatime", "ro"],
    },
)
_OF_THE_NODE = ("/etc/hosts", "/etc/resolv.conf")


def configuration(
    pod: Document, container: Document, image: Image, environment: Mapping[str, str], root: str
) -> Document:
    """The config.json for a container with its files at `root`, run on the node itself.

    It is on the node's network, since the pod is, in the namespaces of whoever runs it.

    :raises ValueError: the manifest asks for something that is not known here.
    """
    if not pod.get("hostNetwork") or pod.get("hostPID") or pod.get("hostIPC"):
        raise ValueError("only pods on their node's network, and nothing else of it, are known")
    security = container["securityContext"]
    if security["privileged"]:
        raise ValueError("privileged containers are not known")
    capabilities = granted(security["capabilities"])
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": security["runAsUser"], "gid": security["runAsGroup"]},
            "args": _command(container, image, environment),
            "env": [f"{name}={value}" for name, value in environment.items()],
            "cwd": image.configuration.get("WorkingDir") or "/",
            # Not inheritable and not ambient: Kubernetes gives them to root alone.
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), capabilities),
            "noNewPrivileges": not security["allowPrivilegeEscalation"],
        },
        "root": {"path": root, "readonly": security["readOnlyRootFilesystem"]},
        "mounts": [*_MOUNTS, *_volumes(pod, container)],
        "linux": {
            # What a runtime allows on top of this are its own defaults, /dev/net/tun among them.
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "namespaces": [{"type": kind} for kind in ("pid", "ipc", "mount", "cgroup")],
            "maskedPaths": list(_MASKED),
            "readonlyPaths": list(_READ_ONLY),
            "seccomp": _seccomp(security["seccompProfile"], capabilities),
        },
    }


def granted(wanted: Mapping[str, Sequence[str]]) -> list[str]:
    """The capabilities that a container has: the runtime's own, less and more than those."""
    drop, add = wanted.get("drop", ()), wanted.get("add", ())
    kept = () if "ALL" in drop else (c for c in _DEFAULT_CAPABILITIES if c not in drop)
    return [f"CAP_{name}" for name in dict.fromkeys((*kept, *add))]


def environment(
    container: Document, image: Image, options: Mapping[str, str], node: str
) -> dict[str, str]:
    """The variables of a container; `options` are those of the ConfigMap that it names.

    :raises ValueError: one comes from where nothing is known of here.
    """
    found = dict(image.environment)
    for source in container.get("envFrom", ()):
        if source["configMapRef"]["name"] != "overlayd-config":
            raise ValueError(f"no ConfigMap is known but overlayd-config: {source}")
        found |= options
    for variable in container.get("env", ()):
        if "value" in variable:
            found[variable["name"]] = variable["value"]
        elif variable["valueFrom"]["fieldRef"]["fieldPath"] == "spec.nodeName":
            found[variable["name"]] = node
        else:
            raise ValueError(f"not known here: {variable}")
    return found


def host_paths(pod: Document) -> dict[str, Document]:
    """The volumes of a pod, by their names: all are paths of the node."""
    return {volume["name"]: volume["hostPath"] for volume in pod.get("volumes", ())}


def _command(container: Document, image: Image, variables: Mapping[str, str]) -> list[str]:
    words = (*(container.get("command") or image.entrypoint), *container.get("args", ()))
    return [
        re.sub(r"\$\((\w+)\)", lambda found: variables.get(found[1], found[0]), word)
        for word in words
    ]


def _volumes(pod: Document, container: Document) -> list[Document]:
    paths = host_paths(pod)
    read_only = container["securityContext"]["readOnlyRootFilesystem"]
    mounts = [_bind(path, path, read_only) for path in _OF_THE_NODE]
    if pod.get("automountServiceAccountToken", True):
        mounts.append(_bind(ACCOUNT, _ACCOUNT, True))
    for mount in container.get("volumeMounts", ()):
        path = paths[mount["name"]]["path"]
        mounts.append(_bind(path, mount["mountPath"], mount.get("readOnly", False)))
    return mounts


def _bind(source: str, destination: str, read_only: bool) -> Document:
    return {
        "destination": destination,
        "type": "bind",
        "source": source,
        "options": ["rbind", "rprivate", "ro" if read_only else "rw"],
    }


def _seccomp(profile: Mapping[str, str], capabilities: Sequence[str]) -> dict[str, Any]:
    if profile != {"type": "RuntimeDefault"}:
        raise ValueError(f"only RuntimeDefault is known, not {profile}")
    return runtime_default(capabilities)
