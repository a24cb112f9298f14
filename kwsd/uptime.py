"""A clock for ages: nobody sets it, and it goes on while the machine sleeps."""

import time

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def uptime_s() -> float:
    """Seconds since some moment before kwsd began; only differences mean anything."""
    return time.clock_gettime(_CLOCK)
