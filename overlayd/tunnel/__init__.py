"""The WireGuard implementations that overlayd can drive, behind one interface."""
