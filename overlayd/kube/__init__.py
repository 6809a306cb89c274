"""The Kubernetes API server: how it is reached, and what is asked of it. Blocking."""
