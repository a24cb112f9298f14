"""A server on a TCP port: one thread accepts connections, and each connection has its own thread.

No connection can block the server: there are few, and one that takes longer than allowed is closed.
"""

import contextlib
import errno
import logging
import os
import select
import socket
import threading
import time
import traceback
from abc import abstractmethod
from typing import Any

from kwsd.errors import ConfigError
from kwsd.servers.settings import Address
from kwsd.sinks.sink import Services, Sink

log = logging.getLogger(__name__)

ACCEPT_PAUSE_S = 0.5  # after accept failed for lack of file descriptors or memory
NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class TcpServer(Sink):
    """A sink that answers requests over TCP.

    Args:
        settings: its configuration, with ``listen``.
        services: the daemon's services.

    Attributes:
        connections_max: connections beyond this number get ``busy`` and are closed.
        limit_s: the time limit set by `expect`.
    """

    connections_max = 32
    limit_s = 10.0
    busy = b""

    def __init__(self, settings: Any, services: Services) -> None:
        super().__init__(settings)
        self.services = services
        self._deadlines: dict[socket.socket, float | None] = {}  # by connection; None while nothing is expected from it
        self._lock = threading.Lock()  # for state shared with the connections' threads

    @abstractmethod
    def serve(self, connection: socket.socket, address: Any) -> None:
        """Serves one connection, in its own thread; an OSError ends it."""

    def stop_serving(self) -> None:
        """Called in the server's thread at the end, before the connections are ended."""

    # Called by the bus.

    def can_adopt(self, new: Sink) -> bool:
        return type(new) is type(self) and new.settings.listen == self.settings.listen

    def check_beside(self, other: Sink) -> None:
        """The old server goes on until all of the new configuration is known to work, so it still has the port."""
        address: Address = self.settings.listen
        if isinstance(other, TcpServer) and address.overlaps(held := other.settings.listen):
            mend = "Restart kwsd for this change, or choose another port"
            raise ConfigError(f"{self.name}: {address}: kwsd itself listens at {held} ({other.name}). {mend}")

    def open(self) -> None:
        address: Address = self.settings.listen
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        where, backlog = (address.host, address.port), self.connections_max
        try:
            self._listener = socket.create_server(where, family=family, backlog=backlog)
        except OSError as error:
            raise ConfigError(
                f"{self.name}: {address}: {os.strerror(error.errno or 0)}. Choose another address to listen at"
            ) from None
        self._listener.setblocking(False)
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._wake_receiver.setblocking(False)
        self._wake_sender.setblocking(False)

    def wake(self) -> None:
        with contextlib.suppress(OSError):  # full: the thread will wake anyway; closed: it has ended
            self._wake_sender.send(b"w")

    def drain(self, deadline_s: float) -> bool:
        """Connections do not delay the end."""
        return True

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
        if ready:
            self._accept()
        self._end_the_slow()

    def _accept(self) -> None:
        try:
            connection, address = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            self.pause(ACCEPT_PAUSE_S)
            return
        if len(self._deadlines) >= self.connections_max:
            with connection, contextlib.suppress(OSError):  # it may be gone already
                connection.setblocking(False)
                connection.send(self.busy)
            return
        connection.settimeout(self.limit_s)
        self.expect(connection)
        name = f"{self.name}-client"
        threading.Thread(target=self._serve, args=(connection, address), name=name, daemon=True).start()

    def _serve(self, connection: socket.socket, address: Any) -> None:
        try:
            with connection, contextlib.suppress(OSError):
                self.serve(connection, address)
        except Exception as error:  # a fault in answering one client does not end kwsd for all
            log.error("%s: %s: %s: %s; connection closed", self.name, address[0], type(error).__name__, error)
            log.debug("%s", "".join(traceback.format_exception(error)))
        finally:
            with self._lock:
                del self._deadlines[connection]

    def _end_the_slow(self) -> None:
        now = time.monotonic()
        with self._lock:
            slow = [connection for connection, end_s in self._deadlines.items() if end_s is not None and end_s < now]
        _shut_down(slow)

    def _close(self) -> None:
        self._listener.close()
        self.stop_serving()
        with self._lock:
            connections = list(self._deadlines)
        _shut_down(connections)
        self._wake_receiver.close()
        self._wake_sender.close()

    # Called by the connections' threads.

    def expect(self, connection: socket.socket) -> None:
        """From now on the connection has ``limit_s`` in total to send the next message."""
        with self._lock:
            self._deadlines[connection] = time.monotonic() + self.limit_s

    def received(self, connection: socket.socket) -> None:
        """The message has come."""
        with self._lock:
            self._deadlines[connection] = None


def _shut_down(connections: list[socket.socket]) -> None:
    for connection in connections:
        with contextlib.suppress(OSError):  # it has ended meanwhile
            connection.shutdown(socket.SHUT_RDWR)
