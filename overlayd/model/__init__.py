"""The words overlayd speaks, as frozen values. Nothing here does anything."""
