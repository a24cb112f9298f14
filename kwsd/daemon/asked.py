"""Lets the threads that make requests wait until the main thread has carried them out and announced the state."""

import threading
from collections.abc import Callable


class Asked:
    """Counts requests, and how many of them are done.

    Args:
        wake: wakes the main thread.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._condition = threading.Condition()
        self._count = self._done = 0
        self._closed = False

    def wait(self, timeout_s: float) -> bool:
        """Adds a request and waits until it is done; whether it was within ``timeout_s``."""
        with self._condition:
            self._count += 1
            mine = self._count
        self._wake()
        with self._condition:
            return self._condition.wait_for(lambda: self._done >= mine or self._closed, timeout_s)

    @property
    def count(self) -> int:
        """Requests so far; to be read before they are carried out."""
        return self._count

    @property
    def done(self) -> int:
        """Requests that are done."""
        return self._done

    def finish(self, count: int) -> None:
        """Releases the threads that made the first ``count`` requests."""
        with self._condition:
            self._done = max(self._done, count)
            self._condition.notify_all()

    def close(self) -> None:
        """Releases all threads: no further request is carried out."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
