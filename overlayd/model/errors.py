"""What can go wrong, one class each. The text of an error is what a person reads."""


class OverlaydError(Exception):
    """The root of every error that overlayd raises on purpose."""


class SettingsError(OverlaydError):
    """An option, alone or with the others, cannot be right. The daemon does not start."""


class TunnelError(OverlaydError):
    """The WireGuard device could not be read or written."""


class NetworkError(OverlaydError):
    """A link, address, route, rule or sysctl could not be read or written."""


class KubeConfigError(OverlaydError):
    """A kubeconfig, or something it points to, is missing, unreadable or says too little."""


class Stopping(OverlaydError):
    """The daemon is stopping and does nothing more."""


class NotNow(OverlaydError):
    """What was asked for cannot be done as things stand."""


class Unreachable(OverlaydError):
    """No answer came from the API server, or it broke off: refused, reset, timed out, aborted.

    Also where nothing could be asked: no name, no trust (TLS), no credential (an exec plugin).
    """


class ControlError(OverlaydError):
    """The control socket cannot be opened: its folder, its path, or a daemon that has it."""


class NotADocument(OverlaydError):
    """Bytes of the API server are not what was asked for: cut, or no JSON of that shape."""
