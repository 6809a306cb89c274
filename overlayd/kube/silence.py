"""How long the API server may say nothing."""

from attrs import frozen


@frozen
class Silence:
    """Seconds without a byte after which an attempt ends. No healthy server is silent so long."""

    probe: float = 10.0
    listing: float = 30.0
    first: float = 75.0  # until a watch's first event: one from another history never has any
    watch: float = 150.0  # bookmarks come about every 60 s


SILENCE = Silence()
