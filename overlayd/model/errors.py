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
