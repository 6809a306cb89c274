"""How long to wait before trying again, and why 5,000 daemons do not come back at once."""

import random
from collections.abc import Callable
from functools import partial

from twisted.application.internet import backoffPolicy

JITTER = 3.0  # seconds


def back_off() -> Callable[[int], float]:
    """Seconds before the attempt of a number: from half a second to 30, with jitter."""
    return backoffPolicy(
        initialDelay=0.5,
        maxDelay=30.0 - JITTER,
        factor=1.7,
        jitter=partial(random.uniform, 0.0, JITTER),
    )
