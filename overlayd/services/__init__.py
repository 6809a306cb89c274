"""The Twisted services: they own time and threads, and decide nothing about the mesh."""
