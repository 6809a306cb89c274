"""An encrypted layer-3 overlay network for Kubernetes on WireGuard."""

__version__ = "0.1.0"
