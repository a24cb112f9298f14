"""The events for one open page: a bounded queue that drops the oldest if the page does not read."""

import threading
from collections import deque
from functools import cached_property

from kwsd.events import Event, ScoresEvent, json_line

QUEUE_MAX = 256


class Message:
    """An event for all pages, encoded when the first page's thread sends it."""

    def __init__(self, event: Event) -> None:
        self._event = event

    @cached_property
    def data(self) -> bytes:
        """The event in text/event-stream format, with the rows of `scores` in a second one."""
        event = self._event
        data = b"data: " + json_line(event.to_dict()) + b"\n"
        if isinstance(event, ScoresEvent) and event.rows is not None:
            hundredths = (event.rows * 100).astype(int)  # the page scales them; integers take a sixth of the space
            frames = {"type": "frames", "rows": hundredths.tolist(), "listener": event.listener}
            data += b"data: " + json_line(frames) + b"\n"
        return data


class Stream:
    """One page's server-sent events. Any thread may `offer`; the page's own thread takes them.

    Attributes:
        sent, dropped: events, counted.
    """

    def __init__(self) -> None:
        self.sent = self.dropped = 0
        self._missed = 0
        self._waiting: deque[Message] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def offer(self, message: Message) -> None:
        """Queues a message; never waits."""
        with self._changed:
            if len(self._waiting) >= QUEUE_MAX:
                self._waiting.popleft()
                self.dropped += 1
                self._missed += 1
            self._waiting.append(message)
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
            messages, missed = list(self._waiting), self._missed
            self._waiting.clear()
            self._missed = 0
            self.sent += len(messages)
        dropped = b'data: {"type":"dropped","count":%d}\n\n' % missed if missed else b""
        return dropped + b"".join(message.data for message in messages)

    @property
    def waiting(self) -> int:
        return len(self._waiting)
