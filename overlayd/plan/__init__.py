"""The decisions. Pure: no I/O, no clock, no randomness; everything comes in as an argument."""
