"""Netlink as bytes and as a conversation, for all that talk to the kernel."""
