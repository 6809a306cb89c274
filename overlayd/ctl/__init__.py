"""The command line tool overlayctl."""
