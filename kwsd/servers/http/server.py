"""The HTTP server: events come over the bus, and go to a bounded queue for each open page."""

import logging
import socket
from typing import TYPE_CHECKING, Any, Self

from kwsd.events import DetectionEvent, Event
from kwsd.servers.http.access import Access, read_token
from kwsd.servers.http.handler import Handler
from kwsd.servers.http.metrics import Heard, Metrics
from kwsd.servers.http.stream import Message, Stream
from kwsd.servers.tcp import TcpServer
from kwsd.sinks.sink import Services, Sink

if TYPE_CHECKING:
    from kwsd.servers.http.settings import HttpSettings

log = logging.getLogger(__name__)

PAGES_MAX = 16


class HttpServer(TcpServer):
    """Serves the page, metrics and health.

    Its counters are of events, summed over the open pages; events while none is open are not counted.

    Args:
        settings: its configuration.
        services: snapshot, words and control.

    Raises:
        ConfigError: the token cannot be read.
        UnavailableError: prometheus_client is not installed.
    """

    name = "http"
    busy = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

    def __init__(self, settings: "HttpSettings", services: Services) -> None:
        super().__init__(settings, services)
        self.heard = Heard()
        self.access = Access(read_token(settings.token_file))
        self.metrics = Metrics(services.snapshot, self.heard) if settings.metrics else None
        self._streams: frozenset[Stream] = frozenset()  # replaced as a whole, so that `put` needs no lock

    @classmethod
    def create(cls, settings: "HttpSettings", services: Services) -> Self:
        return cls(settings, services)

    # Called by the bus.

    @property
    def clients(self) -> int:
        """How many pages are open."""
        return len(self._streams)

    def wants(self, event_type: str) -> bool:
        return event_type == "detection" or bool(self._streams)

    def put(self, event: Event) -> None:
        if isinstance(event, DetectionEvent):
            self.heard.take(event)
        if streams := self._streams:  # straight to the pages' threads, without waking the server's
            message = Message(event)
            for stream in streams:
                stream.offer(message)

    def adopt(self, new: Sink) -> None:
        assert isinstance(new, HttpServer)
        changed = self.settings.token_file != new.settings.token_file or not new.settings.page
        self.settings, self.access = new.settings, new.access
        self.metrics = None if new.metrics is None else Metrics(self.services.snapshot, self.heard)
        if changed:  # clients must send the token again
            self.stop_serving()

    def open(self) -> None:
        super().open()
        alone = "" if self.access.needs_token else ", for this machine alone"
        log.info("http://%s/ is served%s", self.settings.listen, alone)

    @property
    def counters(self) -> dict[str, int]:
        with self._lock:
            streams = self._streams
            sent = self._sent + sum(stream.sent for stream in streams)
            dropped = self._dropped + sum(stream.dropped for stream in streams)
        return {"queued": sum(stream.waiting for stream in streams), "sent": sent, "dropped": dropped, "retried": 0}

    # The server's thread.

    def stop_serving(self) -> None:
        for stream in self._streams:
            stream.close()

    # The connections' threads.

    def serve(self, connection: socket.socket, address: Any) -> None:
        Handler(connection, address, self)

    def open_stream(self) -> Stream | None:
        """The events for a page; None if there are too many pages."""
        with self._lock:
            if len(self._streams) >= PAGES_MAX or self._stopping.is_set():
                return None
            stream = Stream()
            self._streams |= {stream}
            return stream

    def close_stream(self, stream: Stream) -> None:
        with self._lock:
            self._streams -= {stream}
            self._sent += stream.sent
            self._dropped += stream.dropped + stream.waiting
