"""Registers `twistd overlayd`."""

from twisted.application.service import ServiceMaker

overlayd = ServiceMaker(
    "overlayd",
    "overlayd.service",
    "Keep this Kubernetes node in the encrypted WireGuard mesh of all nodes.",
    "overlayd",
)
