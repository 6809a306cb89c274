"""The private key of the device, in memory alone."""

from overlayd.model.keys import PrivateKey, PublicKey


class KeyMemory:
    """The key that a device was last `read` to have, and the one that is `kept` to be given."""

    def __init__(self) -> None:
        self.read: PrivateKey | None = None
        self.kept: PrivateKey | None = None

    def remember(self) -> None:
        if self.read is not None:
            self.kept = self.read

    def remembered(self) -> PublicKey | None:
        return self.kept.public() if self.kept else None
