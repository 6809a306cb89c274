"""A cluster's nodes on one machine: network namespaces, pods, packet capture, numbered packets."""
