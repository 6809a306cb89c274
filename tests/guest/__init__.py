"""Tests of the guest that runs what the running kernel cannot."""
