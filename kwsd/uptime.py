"""A clock for ages: it is never set, and it continues while the machine sleeps."""

import time

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def uptime_s() -> float:
    """Seconds since some time before kwsd began; only differences are meaningful."""
    return time.clock_gettime(_CLOCK)
