"""Where things are on a machine. Imports nothing: `overlayctl` starts in the time Python needs."""

DEFAULT_CONTROL = "/run/overlayd/control.sock"
