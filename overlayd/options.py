"""The options of `twistd overlayd`: the command line, the environment, and what they become."""

import os
import socket
import sys
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import NoReturn, TypeVar

from attrs import frozen
from twisted.python import usage

from overlayd import logs
from overlayd.kube.config.access import Access, find_access
from overlayd.model.errors import KubeConfigError, SettingsError
from overlayd.model.node import IPAddress
from overlayd.model.settings import (
    DEFAULT_CONTROL,
    DEFAULT_OVERLAY,
    DEFAULT_PODS,
    SOCKET_PATH_LIMIT,
    Settings,
    TunnelKind,
)
from overlayd.model.text import printable
from overlayd.plan.notation import read_host_address

T = TypeVar("T")

LONGEST_LINE = 1000
"""Characters of what a start ends with: a value can have a hundred thousand."""


_TUNNELS = tuple(kind.value for kind in TunnelKind)


@frozen
class Configuration:
    """Everything that the options say."""

    settings: Settings
    control: str
    access: Access


class Options(usage.Options):
    """The daemon's options. Each has an environment variable, OVERLAYD_ and the option's name in
    capitals with underscores; the command line wins, and an empty variable is none."""

    synopsis = "[options]"
    longdesc = (
        "Keeps this Kubernetes node in the encrypted WireGuard mesh of all nodes. Each option has "
        "an environment variable: OVERLAYD_ and its name in capitals with underscores, as in "
        "OVERLAYD_NODE_NAME. The API server is found as kubectl finds it: --server, --kubeconfig, "
        "KUBECONFIG, the pod's service account, ~/.kube/config."
    )

    optParameters = (
        ("node-name", None, None, "Name of our Node. [default: the host's name, in lower case]"),
        ("node-ip", None, None, "Our address on the underlay. [default: our first InternalIP]"),
        ("wg-dev", None, "wg0", "Name of the WireGuard device."),
        ("listen-port", None, "51820", "UDP port of the WireGuard device."),
        ("overlay-cidr", None, str(DEFAULT_OVERLAY), "Network of the nodes' overlay addresses."),
        (
            "pod-cidr",
            None,
            ",".join(map(str, DEFAULT_PODS)),
            "Pod networks, comma-separated; IPv4.",
        ),
        ("tunnel", None, "auto", "WireGuard implementation: auto, kernel, userspace, external."),
        ("mtu", None, None, "MTU of the device. [default: that of the underlay less 80]"),
        ("control", None, DEFAULT_CONTROL, "Socket for overlayctl. Another folder must exist."),
        ("server", None, None, "URL of the API server, if it needs no credentials."),
        ("kubeconfig", None, None, "Path of a kubeconfig."),
        ("log-format", None, "text", "Form of the log: text, json."),
    )
    optFlags = (("adopt", None, "Take over the device that wg-overlay made, with its key."),)

    configuration: Configuration

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        super().__init__()
        self._environ = environ
        for parameter in self.optParameters:
            name = str(parameter[0])
            value = environ.get(_variable(name), "")
            if value:
                self[name] = value
        adopt = environ.get(_variable("adopt"), "").lower()
        self["adopt"] = int(adopt not in ("", "0", "false", "no"))

    def parseOptions(self, options: list[str] | None = None) -> None:
        """Parse, or end with one line and status 1: `UsageError` would print all the help first."""
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            _end(str(error))
        except (SettingsError, KubeConfigError) as error:
            _end(str(error))

    def parseArgs(self, *rest: str) -> None:
        if rest:
            raise SettingsError(f"unexpected argument {rest[0]!r}")

    def postOptions(self) -> None:
        log_format = _one_of("--log-format", self["log-format"], ("text", "json"))
        self.configuration = Configuration(
            settings=self._settings(),
            control=_control(self["control"]),
            access=find_access(self["server"], self["kubeconfig"], self._environ),
        )
        logs.install(self.parent, log_format)

    def _settings(self) -> Settings:
        return Settings(
            node_name=_node_name(self["node-name"]),
            node_ip=_optional(self["node-ip"], _node_ip),
            wg_dev=self["wg-dev"],
            listen_port=_number("--listen-port", self["listen-port"]),
            overlay=_network("--overlay-cidr", self["overlay-cidr"]),
            pods=tuple(_network("--pod-cidr", p) for p in self["pod-cidr"].split(",")),
            mtu=_optional(self["mtu"], lambda text: _number("--mtu", text)),
            tunnel=TunnelKind(_one_of("--tunnel", self["tunnel"], _TUNNELS)),
            adopt=bool(self["adopt"]),
        )


def _variable(option: str) -> str:
    return "OVERLAYD_" + option.upper().replace("-", "_")


def _end(message: str) -> NoReturn:
    line = printable(" ".join(message.split()))
    if len(line) > LONGEST_LINE:  # the value is in the middle, what is wrong with it at the end
        line = f"{line[: LONGEST_LINE // 2]} ... {line[-LONGEST_LINE // 2 :]}"
    sys.stderr.write(f"overlayd: {line}\n")
    raise SystemExit(1)


def _optional(text: str | None, read: Callable[[str], T]) -> T | None:
    return None if text is None else read(text)


def _one_of(option: str, text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise SettingsError(f"{option} {text!r} is none of {', '.join(choices)}")
    return text


def _number(option: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise SettingsError(f"{option} {text!r} is not a number")
    return int(text)


def _network(option: str, text: str) -> IPv4Network:
    text = text.strip()
    try:
        network = ip_network(text)
    except ValueError as error:
        raise SettingsError(f"{option} {text!r} is not a network: {error}") from None
    if isinstance(network, IPv6Network):
        raise SettingsError(f"{option} {text!r} is IPv6, which is not carried in this version")
    if "/" not in text:
        raise SettingsError(f"{option} {text!r} has no prefix length, as in {text}/16")
    return network


def _node_ip(text: str) -> IPAddress:
    """Read as strictly as the other nodes will read it in our annotation."""
    try:
        return read_host_address(text)
    except ValueError as error:
        raise SettingsError(f"--node-ip {text!r} is {error}") from None


def _node_name(text: str | None) -> str:
    """The name as kubelet takes it: the host's name, without spaces around, in lower case."""
    name = socket.gethostname().strip().lower() if text is None else text
    labels = name.split(".")
    if (
        not name
        or len(name) > 253
        or any(not label or label[0] == "-" or label[-1] == "-" for label in labels)
        or any(c not in "abcdefghijklmnopqrstuvwxyz0123456789-." for c in name)
    ):
        raise SettingsError(
            f"--node-name {name!r} is not the name of a Node: lower-case letters, digits, - and ."
        )
    return name


def _control(path: str) -> str:
    if len(os.fsencode(path)) > SOCKET_PATH_LIMIT:
        raise SettingsError(f"--control {path!r} is longer than {SOCKET_PATH_LIMIT} bytes")
    if not path.startswith("/"):
        raise SettingsError(f"--control {path!r} is not an absolute path")
    return path
