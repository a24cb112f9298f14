"""Events on standard output, as JSON lines or readable lines, each written at once."""

import errno
import logging
import os
import select
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Self

from kwsd.events import DetectionEvent, Event, json_line
from kwsd.sinks.settings import SinkSettings
from kwsd.sinks.sink import Services, Sink
from kwsd.validation.keys import key
from kwsd.validation.kinds import Choice

log = logging.getLogger(__name__)

OnBroken = Callable[[Sink, OSError], None]


@dataclass(frozen=True)
class StdoutSettings(SinkSettings):
    """A sink of type ``stdout``."""

    type: ClassVar[str] = "stdout"

    format: str = key(Choice(("json", "text")), "json", "JSON lines, or readable lines.")


# A pipe that is writable by poll takes this much without blocking (POSIX), so the thread can always be stopped.
CHUNK_BYTES = select.PIPE_BUF
CHECK_S = 0.1  # how often a waiting write checks whether to stop
HANG_UP_S = 1.0  # how often an idle sink checks whether its reader is still there


class StdoutSink(Sink):
    """Writes detections to a file descriptor.

    If there are other sinks, an error is logged once, its event counts as dropped, and the next event is tried again.
    If this is the only sink, ``on_broken`` is called instead, in this sink's thread.

    Args:
        settings: ``format`` (``json`` or ``text``) and ``only``.
        on_broken: called when no sink is left, with the reason: a BrokenPipeError if the reader went away (kwsd then
            ends silently with 0), any other OSError if writing fails (code 74).
        fd: where to write; None for standard output. If standard output was closed when Python started, the
            first event is an error; it is never written to another file that got the number 1.
    """

    name = "stdout"
    drain_limit_s = 86_400.0  # a slow reader gets all of a file's words; if it leaves, or a signal comes, the wait ends

    def __init__(self, settings: StdoutSettings, on_broken: OnBroken, fd: int | None = None) -> None:
        super().__init__(settings, settings.only)
        self._on_broken = on_broken
        self._fd = fd if fd is not None else 1 if sys.stdout is not None else None
        self._rest = b""  # of a partly written line; no other line may begin before it is complete
        self._told = False

    @classmethod
    def create(cls, settings: StdoutSettings, services: Services) -> Self:
        return cls(settings, services.on_broken)

    def can_adopt(self, new: Sink) -> bool:
        return isinstance(new, StdoutSink) and new._fd == self._fd

    def adopt(self, new: Sink) -> None:
        self.settings, self.only = new.settings, new.only

    def run(self) -> None:
        """Delivers events; while there are none, and no other sinks, checks whether the reader went away."""
        while not self._stopping.is_set():
            with self._changed:
                came = self._changed.wait_for(lambda: self._queue or self._stopping.is_set(), HANG_UP_S)
            if came:
                event = self.take()
                if event is not None:
                    self.finish(self.deliver(event))
            elif self.alone and self._fd is not None and _hung_up(self._fd):
                self._on_broken(self, BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)))
                return

    def deliver(self, event: Event) -> bool:
        assert isinstance(event, DetectionEvent), event
        line = text_line(event) if self.settings.format == "text" else json_line(event.to_dict())
        try:
            done = self._write(self._rest) and self._write(line)
        except OSError as error:
            self._tell(error)
            return False
        self._told = False
        return done

    def _write(self, data: bytes) -> bool:
        """Writes all of it; False if stopped before. Keeps the rest of a partly written line."""
        if self._fd is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        while data:
            if not self._wait_writable(self._fd):
                return False
            try:
                written = os.write(self._fd, data[:CHUNK_BYTES])
            except BlockingIOError:  # another process that shares this pipe was faster
                self.pause(CHECK_S)
                continue
            self._rest = data = data[written:]
        return True

    def _wait_writable(self, fd: int) -> bool:
        poller = select.poll()
        poller.register(fd, select.POLLOUT)
        while not self._stopping.is_set():
            if poller.poll(CHECK_S * 1000):
                return True
        return False

    def _tell(self, error: OSError) -> None:
        if isinstance(error, BrokenPipeError):
            self._rest = b""  # the next reader begins with a complete line
        if self.alone:
            self._on_broken(self, error)
        elif not self._told:
            log.warning("standard output cannot be written: %s; tried again at the next event", error.strerror)
        self._told = True


def text_line(event: DetectionEvent) -> bytes:
    """The readable line: local time, label, score."""
    here = datetime.fromisoformat(event.time).astimezone()
    return f"{here:%Y-%m-%d %H:%M:%S}  {event.label:<12} {event.score:.3f}\n".encode("utf-8", "backslashreplace")


def _hung_up(fd: int) -> bool:
    """Whether ``fd`` is a pipe without a reader."""
    poller = select.poll()
    poller.register(fd, 0)
    return any(mask & select.POLLERR for _, mask in poller.poll(0))
