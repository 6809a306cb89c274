"""Containers on the lab's nodes, as the manifests say: read from k8s/, run by runc."""
