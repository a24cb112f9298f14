"""What a listener reads during a pause."""

import threading


class Rest:
    """A source without audio, for a pause."""

    paced = True

    def __init__(self, name: str, rate_hz: int) -> None:
        self.name, self.rate_hz = name, rate_hz
        self._closed = threading.Event()

    def read(self, timeout_s: float) -> None:
        self._closed.wait(timeout_s)

    def close(self) -> None:
        self._closed.set()
