"""The HTTP server as kwsd runs it: one thread takes in connections and hands out events, and each connection has one.

Nobody is waited for: connections are few, requests have a time limit as a whole, and a page that does not read has a
bounded queue of its own.
"""

import contextlib
import errno
import itertools
import logging
import select
import socket
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

from kwsd.errors import ConfigError
from kwsd.events import DetectionEvent, Event, ScoresEvent, json_line
from kwsd.servers.http.access import Access, read_token
from kwsd.servers.http.handler import Handler
from kwsd.servers.http.metrics import Heard, Metrics
from kwsd.servers.http.stream import Stream
from kwsd.sinks.sink import Services, Sink

if TYPE_CHECKING:
    from kwsd.servers.http.settings import HttpSettings

log = logging.getLogger(__name__)

CONNECTIONS_MAX = 32
PAGES_MAX = 16
REQUEST_LIMIT_S = 10.0
"""For a request as a whole, from its first byte, or from the connection's last answer, to its last."""

ACCEPT_PAUSE_S = 0.5  # after accept failed for want of file descriptors or memory
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class HttpServer(Sink):
    """Serves the page, metrics and health.

    Its counters are of events, summed over the open pages; an event while none is open counts nowhere.

    Args:
        settings: what the configuration says of it.
        services: snapshot, words and control.

    Raises:
        ConfigError: the token cannot be had.
        UnavailableError: prometheus_client is not installed.
    """

    name = "http"

    def __init__(self, settings: "HttpSettings", services: Services) -> None:
        super().__init__(settings)
        self.services = services
        self.heard = Heard()
        self.access = Access(read_token(settings.token_file))
        self.metrics = Metrics(services.snapshot, self.heard) if settings.metrics else None
        self._streams: set[Stream] = set()
        self._deadlines: dict[socket.socket, float | None] = {}  # by connection; None while it is being answered
        self._lock = threading.Lock()  # for both, and the counters of streams that are gone

    @classmethod
    def create(cls, settings: "HttpSettings", services: Services) -> Self:
        return cls(settings, services)

    # What the bus calls.

    @property
    def clients(self) -> int:
        """How many pages are open."""
        return len(self._streams)

    def wants(self, event_type: str) -> bool:
        return event_type == "detection" or bool(self._streams)

    def put(self, event: Event) -> None:
        if isinstance(event, DetectionEvent):
            self.heard.take(event)
        if self._streams:
            super().put(event)

    def can_adopt(self, new: Sink) -> bool:
        return isinstance(new, HttpServer) and new.settings.listen == self.settings.listen

    def adopt(self, new: Sink) -> None:
        assert isinstance(new, HttpServer)
        changed = self.settings.token_file != new.settings.token_file or not new.settings.page
        self.settings, self.access = new.settings, new.access
        self.metrics = None if new.metrics is None else Metrics(self.services.snapshot, self.heard)
        if changed:  # who is in has to show the token again
            self._close_streams()

    def open(self) -> None:
        address = self.settings.listen
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        try:
            self._listener = socket.create_server((address.host, address.port), family=family, backlog=CONNECTIONS_MAX)
        except OSError as error:
            raise ConfigError(
                f"http: {address}: {error.strerror}. Stop what listens there, or choose another"
            ) from None
        self._listener.setblocking(False)
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._wake_receiver.setblocking(False)
        self._wake_sender.setblocking(False)
        log.info("http://%s/ is served%s", address, "" if self.access.needs_token else ", for this machine alone")

    def wake(self) -> None:
        with contextlib.suppress(OSError):  # full: the thread is about to wake anyhow; closed: it has ended
            self._wake_sender.send(b"w")

    def drain(self, deadline_s: float) -> bool:
        """What a page has not read when kwsd ends is not waited for."""
        return True

    @property
    def counters(self) -> dict[str, int]:
        with self._lock:
            streams = list(self._streams)
            sent = self._sent + sum(stream.sent for stream in streams)
            dropped = self._dropped + sum(stream.dropped for stream in streams)
        return {"queued": sum(stream.waiting for stream in streams), "sent": sent, "dropped": dropped, "retried": 0}

    # The server's thread.

    def run(self) -> None:
        try:
            self._poller = select.poll()
            self._poller.register(self._listener, select.POLLIN)
            self._poller.register(self._wake_receiver, select.POLLIN)
            while not self._stopping.is_set():
                self._turn()
        finally:
            self._close()

    def _turn(self) -> None:
        ready = dict(self._poller.poll(1000 if self._deadlines else None))
        if ready.pop(self._wake_receiver.fileno(), 0):
            with contextlib.suppress(BlockingIOError):
                self._wake_receiver.recv(4096)
        self._hand_out()
        if ready:
            self._accept()
        self._end_the_slow()

    def _hand_out(self) -> None:
        with self._changed:
            events = list(self._queue)
            self._queue.clear()
        for line in itertools.chain.from_iterable(map(_lines, events)):
            for stream in list(self._streams):
                stream.offer(line)

    def _accept(self) -> None:
        try:
            connection, address = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                raise
            self.pause(ACCEPT_PAUSE_S)
            return
        if len(self._deadlines) >= CONNECTIONS_MAX:
            with connection, contextlib.suppress(OSError):  # one that is gone already need not be told
                connection.setblocking(False)
                connection.send(BUSY)
            return
        connection.settimeout(REQUEST_LIMIT_S)
        self.expect(connection)
        threading.Thread(target=self._serve, args=(connection, address), name="http-request", daemon=True).start()

    def _serve(self, connection: socket.socket, address: Any) -> None:
        """One connection, in its own thread. Whatever goes wrong with it is its end alone."""
        try:
            with connection, contextlib.suppress(OSError):
                Handler(connection, address, self)
        finally:
            with self._lock:
                del self._deadlines[connection]

    def _end_the_slow(self) -> None:
        now = time.monotonic()
        with self._lock:
            slow = [connection for connection, end_s in self._deadlines.items() if end_s is not None and end_s < now]
        for connection in slow:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _close(self) -> None:
        self._listener.close()
        self._close_streams()
        with self._lock:
            connections = list(self._deadlines)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._wake_receiver.close()
        self._wake_sender.close()

    def _close_streams(self) -> None:
        for stream in list(self._streams):
            stream.close()

    # What the connections' threads call.

    def expect(self, connection: socket.socket) -> None:
        """From now on the connection has so long for a request."""
        with self._lock:
            self._deadlines[connection] = time.monotonic() + REQUEST_LIMIT_S

    def received(self, connection: socket.socket) -> None:
        """It has sent all of it."""
        with self._lock:
            self._deadlines[connection] = None

    def open_stream(self) -> Stream | None:
        """What a page will be sent; None when there are too many."""
        with self._lock:
            if len(self._streams) >= PAGES_MAX or self._stopping.is_set():
                return None
            stream = Stream()
            self._streams.add(stream)
            return stream

    def close_stream(self, stream: Stream) -> None:
        with self._lock:
            self._streams.discard(stream)
            self._sent += stream.sent
            self._dropped += stream.dropped + stream.waiting


def _lines(event: Event) -> Iterator[bytes]:
    yield json_line(event.to_dict())
    if isinstance(event, ScoresEvent) and event.rows is not None:
        yield json_line({"type": "frames", "rows": [[round(value, 2) for value in row] for row in event.rows.tolist()]})
