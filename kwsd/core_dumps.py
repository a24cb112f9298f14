"""Prevents core dumps: a process that listens has audio in its memory, and the keys of webhooks."""

import ctypes
import logging
import resource

log = logging.getLogger(__name__)

_PR_SET_DUMPABLE = 4  # prctl(2)


def forbid() -> None:
    """Keeps this process's memory out of core dumps, and from other processes of its user except root's.

    The limit alone is not enough if a program collects the dumps (core(5)); the attribute is not inherited by programs
    that this one starts, the limit is.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        log.warning("core dumps cannot be forbidden: error %d", ctypes.get_errno())
