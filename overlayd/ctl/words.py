"""Numbers as people read them."""


def duration(seconds: float) -> str:
    """The two largest units, as kubectl writes ages: 12s, 3m12s, 2h5m, 3d4h."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    left = max(0, int(seconds))
    if left < 60:
        return f"{left}s"
    for unit, size, next_unit, next_size in (
        ("d", 86400, "h", 3600),
        ("h", 3600, "m", 60),
        ("m", 60, "s", 1),
    ):
        if left >= size:
            rest = left % size // next_size
            return f"{left // size}{unit}" + (f"{rest}{next_unit}" if rest else "")
    raise AssertionError


def size(count: int) -> str:
    """Bytes as `wg show` writes them: 512 B, 1.21 KiB."""
    if count < 1024:
        return f"{count} B"
    amount = float(count)
    for unit in ("KiB", "MiB", "GiB"):
        amount /= 1024
        if amount < 1024:
            return f"{amount:.2f} {unit}"
    return f"{amount / 1024:.2f} TiB"


def counted(count: int, one: str, many: str = "") -> str:
    """1 change, 2 changes."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
