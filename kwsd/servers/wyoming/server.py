"""The Wyoming server, which is independent of the microphone and must not disturb it.

Clients that send audio faster than real time are slowed down, since scoring it takes time from the microphone.
"""

import logging
import socket
import time
from typing import TYPE_CHECKING, Any, Self

from kwsd.errors import KwsdError
from kwsd.servers.tcp import TcpServer
from kwsd.servers.wyoming.frames import Frame, FrameError, FrameReader
from kwsd.servers.wyoming.session import Session, SessionError
from kwsd.sinks.sink import Services, Sink

if TYPE_CHECKING:
    from kwsd.servers.wyoming.settings import WyomingSettings

log = logging.getLogger(__name__)

AHEAD_MAX_S = 5.0
"""How far a client's audio may be ahead of the clock, such as audio buffered by a satellite."""

RECEIVE_BYTES = 16_384


class Pace:
    """Tells a client that is too fast how long to wait."""

    def __init__(self) -> None:
        self._audio_s = self._now_s = self._ahead_s = 0.0

    def wait_s(self, audio_s: float, now_s: float) -> float:
        """Seconds to wait now, given the total amount of audio."""
        self._ahead_s = max(0.0, self._ahead_s - (now_s - self._now_s)) + audio_s - self._audio_s
        self._audio_s, self._now_s = audio_s, now_s
        return max(0.0, self._ahead_s - AHEAD_MAX_S)


class WyomingServer(TcpServer):
    """Serves wake-word detection.

    Args:
        settings: its configuration.
        services: words, and new pipelines.
    """

    name = "wyoming"
    types = frozenset()
    connections_max = 16
    limit_s = 60.0

    @classmethod
    def create(cls, settings: "WyomingSettings", services: Services) -> Self:
        return cls(settings, services)

    def adopt(self, new: Sink) -> None:
        assert isinstance(new, WyomingServer)
        self.settings, self.services = new.settings, new.services

    def open(self) -> None:
        super().open()
        address = self.settings.listen
        if not address.is_loopback:
            log.warning("wyoming: anyone who can reach %s may use it; the protocol has no password", address)
        log.info("wyoming: %s is served", address)

    # Called by the connections' threads.

    def serve(self, connection: socket.socket, address: Any) -> None:
        session, reader, pace = self._new_session(), FrameReader(), Pace()
        try:
            while data := connection.recv(RECEIVE_BYTES):
                self.received(connection)
                for frame in reader.push(data):
                    for answer in session.receive(frame):
                        connection.sendall(answer.encode())
                self.pause(pace.wait_s(session.audio_s, time.monotonic()))
                self.expect(connection)
        except (FrameError, SessionError, KwsdError) as error:
            log.info("wyoming: %s: %s", address[0], error)
            connection.sendall(Frame("error", {"text": str(error), "code": type(error).__name__}).encode())

    def _new_session(self) -> Session:
        first = next(iter(self.services.snapshot()["listeners"].values()))  # whose pipeline new_spotter makes
        heard = set(first["thresholds"]) - set(first["on_demand"])
        words = [word for word in self.services.hello()["labels"] if word in heard]
        return Session(words, ", ".join(first["models"]), self.services.new_spotter)
