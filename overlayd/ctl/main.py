"""The entry point of `overlayctl`."""

import os
import signal
import sys


def main() -> None:
    """Ends as tools do: quietly on Ctrl-C (130 to a shell) and when who reads the output goes."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    # Only now: an interrupt while modules are read must be as quiet as one later.
    from overlayd.ctl import readiness
    from overlayd.ctl.output import prepare

    prepare()
    if probe := readiness.probe(sys.argv[1:], os.environ):
        readiness.tell(probe.control, probe.timeout)
        return
    from overlayd.ctl.commands import overlayctl

    overlayctl()


if __name__ == "__main__":
    main()
