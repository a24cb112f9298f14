"""Lines on standard error, written without ever blocking.

Standard error may be a pipe that is not read or a stopped terminal: a write would then block its thread, which may be
the one that listens or the one that feeds the watchdog. So a line is written only if there is room for it; others are
counted, and their number is reported when there is room again.
"""

import io
import os
import select
import sys
import threading

LINE_BYTES = select.PIPE_BUF
"""A pipe that is writable by poll takes this many bytes at once."""

_lock = threading.Lock()
_untold = 0


def write(line: str) -> None:
    """One line, cut to `LINE_BYTES`. Nothing is raised: a log that cannot be written must not stop kwsd."""
    global _untold
    try:
        descriptor = sys.stderr.fileno()
    except (AttributeError, io.UnsupportedOperation, ValueError):  # None, replaced by a test, or closed
        if sys.stderr is not None and not sys.stderr.closed:
            sys.stderr.write(f"{line}\n")
        return
    with _lock:
        if _untold and _put(descriptor, f"kwsd: {_untold} lines found no room on standard error"):
            _untold = 0
        if _untold or not _put(descriptor, line):
            _untold += 1


def _put(descriptor: int, line: str) -> bool:
    """Whether there was room."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    if not any(state & select.POLLOUT for _, state in poll.poll(0)):
        return False
    data = line.encode(errors="replace")[: LINE_BYTES - 1] + b"\n"
    try:
        os.write(descriptor, data)
    except OSError:  # its reader is gone, or its disk is full
        return False
    return True
