"""Tests that need WireGuard in the kernel."""
