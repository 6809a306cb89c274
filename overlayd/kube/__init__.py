"""The Kubernetes API: the Nodes, listed and watched, and our own, written to. Blocking."""
