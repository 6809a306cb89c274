"""Requests to the API server and its answers as bytes, over HTTP, TLS and proxies. Blocking."""
