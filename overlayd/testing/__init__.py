"""Doubles that are held to the behaviour of the real thing, for tests and demonstrations."""
