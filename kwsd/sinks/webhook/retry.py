"""Which attempts are repeated, and when."""

import email.utils
import random
from collections.abc import Callable
from datetime import UTC

BACKOFF_MIN_S, BACKOFF_MAX_S = 0.5, 60.0
RETRIED_STATUSES = frozenset({408, 425, 429})


def is_retried(status: int) -> bool:
    return status in RETRIED_STATUSES or 500 <= status < 600


def backoff_s(failures: int, left_s: float, uniform: Callable[[float, float], float] = random.uniform) -> float:
    """How long to wait after the n-th failure in a row: "full jitter", anything from 0 to a doubling ceiling.

    The ceiling is also limited by ``left_s``, the time for which the event is still useful, so that an unlucky draw
    does not lose it while there is time for another attempt.
    (M. Brooker, Exponential Backoff and Jitter, AWS Architecture Blog, 2015.)
    """
    ceiling_s = BACKOFF_MIN_S * 2.0 ** min(failures - 1, 30)
    return uniform(0.0, min(ceiling_s, BACKOFF_MAX_S, max(left_s, BACKOFF_MIN_S)))


def retry_after_s(value: str | None, now_s: float) -> float:
    """A Retry-After header (RFC 9110, 10.2.3: seconds or an HTTP date) as seconds from now; 0 if there is none.

    Args:
        now_s: the server's time, since the clock of a machine without a battery may be wrong.
    """
    value = (value or "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:10])
    return max(0.0, (moment_s(value) or 0.0) - now_s)


def moment_s(value: str | None) -> float | None:
    """An HTTP date as Unix time; None if it is not one."""
    try:
        moment = email.utils.parsedate_to_datetime(value or "")
    except (ValueError, OverflowError):  # the second for numbers out of range for dates
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp()
