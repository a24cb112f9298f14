"""The events for one open page: a bounded queue that drops the oldest if the page does not read."""

import threading
from collections import deque

QUEUE_MAX = 256


class Stream:
    """One page's server-sent events. Any thread may `offer`; the page's own thread takes them.

    Attributes:
        sent, dropped: events, counted.
    """

    def __init__(self) -> None:
        self.sent = self.dropped = 0
        self._missed = 0
        self._waiting: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def offer(self, line: bytes) -> None:
        """Queues the line of an event; never waits."""
        with self._changed:
            if len(self._waiting) >= QUEUE_MAX:
                self._waiting.popleft()
                self.dropped += 1
                self._missed += 1
            self._waiting.append(line)
            self._changed.notify()

    def close(self) -> None:
        """Ends the stream."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def take(self, limit_s: float) -> bytes | None:
        """All waiting events, in text/event-stream format; empty after ``limit_s``, None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed, limit_s)
            if self._closed:
                return None
            lines, missed = list(self._waiting), self._missed
            self._waiting.clear()
            self._missed = 0
            self.sent += len(lines)
        if missed:
            lines.insert(0, b'{"type":"dropped","count":%d}\n' % missed)
        return b"".join(b"data: " + line + b"\n" for line in lines)

    @property
    def waiting(self) -> int:
        return len(self._waiting)
