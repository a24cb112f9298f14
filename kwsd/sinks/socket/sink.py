"""Events for every program that connects to a UNIX socket; the protocol is that of docs/socket.md.

One thread serves all clients by poll and never waits for any of them: a client that does not read has its
own bounded queue in its Conversation, and one that sends garbage or vanishes does not affect the others. They take
turns: events first, then a few new connections and a few requests of each client.
"""

import contextlib
import errno
import logging
import resource
import select
import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from kwsd.events import DetectionEvent, Event, PeakEvent, StatusEvent, json_line, rfc3339
from kwsd.sinks.sink import Services, Sink
from kwsd.sinks.socket import socket_file
from kwsd.sinks.socket.protocol import Conversation, Responder, error_line

if TYPE_CHECKING:
    from kwsd.sinks.socket.settings import SocketSettings

log = logging.getLogger(__name__)

ON_DEMAND = {"scores": "scores", "peak": "peaks"}
"""Events that are created only while there are subscribers, and the names of the subscriptions."""

RECEIVE_BYTES = 16_384
ACCEPTS_A_TURN = 8
REQUESTS_A_TURN = 8  # of each client; further ones wait in its buffers
RESERVED_DESCRIPTORS = 32
"""Clients do not get the last descriptors that kwsd may open (or a quarter of a low limit), since reopening a
microphone, posting to a webhook and reading settings need some too."""

ACCEPT_PAUSE_MS = 500  # after accept failed for lack of file descriptors or memory
NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Client:
    """A connection, its conversation, and whether the client may still send (it may have shut its side down)."""

    __slots__ = ("connection", "conversation", "sends")

    def __init__(self, connection: socket.socket, conversation: Conversation) -> None:
        self.connection, self.conversation = connection, conversation
        self.sends = True


class SocketSink(Sink):
    """Serves a UNIX socket.

    Its counters are of lines of events, summed over the clients; events while no client is connected are not counted.

    Args:
        settings: ``path``, ``group``, ``max_clients``, ``only``.
        services: answers the clients' requests; called in this sink's thread.
    """

    name = "socket"
    types = frozenset({"detection", "status", "scores", "peak"})

    def __init__(self, settings: "SocketSettings", services: Services) -> None:
        super().__init__(settings, settings.only)
        self._path = str(settings.path)
        self._services = services
        self._clients: dict[int, Client] = {}
        self._behind: set[int] = set()  # clients with requests that wait for their turn
        self._subscribed: frozenset[str] = frozenset()  # to types that are created only for subscribers
        self._unsent = 0  # lines of events in the clients' queues
        self._accept_failed = False
        self._crowded = False  # descriptors have run short; logged once

    @classmethod
    def create(cls, settings: "SocketSettings", services: Services) -> Self:
        return cls(settings, services)

    @property
    def clients(self) -> int:
        """How many clients are connected."""
        return len(self._clients)

    def wants(self, event_type: str) -> bool:
        topic = ON_DEMAND.get(event_type)
        return event_type in self.types if topic is None else topic in self._subscribed

    def can_adopt(self, new: Sink) -> bool:
        if not isinstance(new, SocketSink) or new._path != self._path:
            return False
        if new.settings.group is not None:
            socket_file.group_id(self._path, new.settings.group)
        return True

    def adopt(self, new: Sink) -> None:
        if new.settings.group != self.settings.group:
            socket_file.set_access(self._path, self._identity, new.settings.group)
        self.settings, self.only = new.settings, new.only

    def open(self) -> None:
        self._listener, self._identity = socket_file.listen(self._path, self.settings.group)
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._wake_receiver.setblocking(False)
        self._wake_sender.setblocking(False)
        self._poller = select.poll()
        self._poller.register(self._listener, select.POLLIN)
        self._poller.register(self._wake_receiver, select.POLLIN)

    def wake(self) -> None:
        with contextlib.suppress(OSError):  # full: the thread will wake anyway; closed: it has ended
            self._wake_sender.send(b"w")

    def backlog(self) -> int:
        return super().backlog() + self._unsent

    def run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._turn()
        finally:
            self._close()

    def _turn(self) -> None:
        """Waits until something happens, and does a bounded part of the work."""
        limit_ms = 0 if self._behind else ACCEPT_PAUSE_MS if self._accept_failed else None
        ready = dict(self._poller.poll(limit_ms))
        if ready.pop(self._wake_receiver.fileno(), 0):
            self._wake_receiver.recv(RECEIVE_BYTES)  # before the queue is checked, so that no event is missed
        self._deliver()
        newcomers = ready.pop(self._listener.fileno(), 0)
        for fd in {**dict.fromkeys(self._behind, 0), **ready}:
            if fd in self._clients:  # else an event found it gone
                self._serve(fd, ready.get(fd, 0))
                self._deliver()
        if newcomers or self._accept_failed:  # last, since a new client may get the number of one that has just gone
            self._accept()
        self._subscribed = frozenset().union(*(client.conversation.types for client in self._clients.values()))
        self._account()

    def _deliver(self) -> None:
        """Passes all waiting events to all clients."""
        if not self._queue:
            return
        with self._changed:
            events = list(self._queue)
            self._queue.clear()
            self._in_hand += len(events)
        for event in events:
            self._broadcast(event)

    def _accept(self) -> None:
        """Accepts a few waiting connections. Without file descriptors, tries again later instead of spinning."""
        failed = False
        try:
            for _ in range(ACCEPTS_A_TURN):
                connection, _ = self._listener.accept()
                connection.setblocking(False)
                self._greet(connection)
        except (BlockingIOError, ConnectionAbortedError):  # no connection is waiting, or that one is gone
            pass
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            failed = True
            if not self._accept_failed:
                log.warning("%s: no further client can be taken in: %s", self._path, error.strerror)
        self._accept_failed = failed
        self._poller.modify(self._listener, 0 if failed else select.POLLIN)

    def _greet(self, connection: socket.socket) -> None:
        fd = connection.fileno()
        refusal = None
        if len(self._clients) >= self.settings.max_clients:
            refusal = f"all {self.settings.max_clients} places are taken"
        elif not self._has_reserve(fd):
            refusal = "no file descriptor is left for another client"
        if refusal is not None:
            with connection, contextlib.suppress(OSError):  # it may be gone already
                connection.send(error_line(f"{refusal}; closing"))
            return
        self._clients[fd] = Client(connection, Conversation(self._responder))
        self._poller.register(fd, select.POLLIN)
        log.debug("%s: a client has come; %d are connected", self._path, len(self._clients))
        self._flush(fd)

    @property
    def _responder(self) -> Responder:
        services = self._services
        return Responder(services.hello, services.snapshot, self._status, services.report, self._control)

    def _control(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Checks the current settings, which a reload may change."""
        if not self.settings.control:
            return {"type": "error", "message": "this socket takes no control (control: false)"}
        return self._services.control(request)

    def _status(self) -> dict[str, Any]:
        """The current state, as its event."""
        now = self._services.snapshot()
        return StatusEvent(rfc3339(time.time()), now["state"], now["reason"], now["since"]).to_dict()

    def _has_reserve(self, fd: int) -> bool:
        """Whether enough descriptors are left besides this one, which was the lowest free one."""
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if limit == resource.RLIM_INFINITY or fd < limit - min(RESERVED_DESCRIPTORS, limit // 4):
            return True
        if not self._crowded:
            log.warning(
                "%s: %d clients are all that %d open files allow. Raise ulimit -n or LimitNOFILE=",
                self._path,
                len(self._clients),
                limit,
            )
        self._crowded = True
        return False

    def _serve(self, fd: int, mask: int) -> None:
        client = self._clients[fd]
        if mask & ~(select.POLLIN | select.POLLOUT):
            self._drop(fd)  # hung up: the client would not read an answer
            return
        data = b""
        if mask & select.POLLIN and fd not in self._behind:
            try:
                data = client.connection.recv(RECEIVE_BYTES)
            except OSError:  # any error ends only this client
                self._drop(fd)
                return
            client.sends = data != b""  # else as `echo REQUEST | socat` does, and then reads the answer
        client.conversation.receive(data, REQUESTS_A_TURN)
        if client.conversation.behind:
            self._behind.add(fd)
        else:
            self._behind.discard(fd)
        self._flush(fd)

    def _broadcast(self, event: Event) -> None:
        label = event.label if isinstance(event, DetectionEvent | PeakEvent) else None
        line = json_line(event.to_dict())
        for fd, client in list(self._clients.items()):
            client.conversation.offer(event.type, label, line)
            self._flush(fd)

    def _flush(self, fd: int) -> None:
        """Sends what the kernel takes, and returns what to wait for next."""
        client = self._clients[fd]
        try:
            while chunk := client.conversation.outgoing():
                client.conversation.sent(client.connection.send(chunk))
        except BlockingIOError:
            blocked = True
        except OSError:
            self._drop(fd)
            return
        else:
            blocked = False
        if client.conversation.closing:  # it gets the last lines if it reads; this does not wait for it
            self._drop(fd)
            return
        self._poller.modify(fd, (select.POLLIN if client.sends else 0) | (select.POLLOUT if blocked else 0))

    def _drop(self, fd: int) -> None:
        client = self._clients.pop(fd)
        self._behind.discard(fd)
        self._poller.unregister(fd)
        client.connection.close()
        log.debug("%s: a client has gone; %d are connected", self._path, len(self._clients))
        conversation = client.conversation
        with self._changed:
            self._sent += conversation.delivered
            self._dropped += conversation.dropped + conversation.waiting

    def _account(self) -> None:
        """Adds the conversations' counts to the sink's."""
        conversations = [client.conversation for client in self._clients.values()]
        with self._changed:
            for conversation in conversations:
                self._sent += conversation.delivered
                self._dropped += conversation.dropped
                conversation.delivered = conversation.dropped = 0
            self._unsent = sum(conversation.waiting for conversation in conversations)
            self._in_hand = 0
            self._changed.notify_all()

    def _close(self) -> None:
        for fd in list(self._clients):
            self._drop(fd)
        self._account()
        try:
            socket_file.remove(self._path, self._identity)
        except OSError as error:
            log.warning("socket %s cannot be removed: %s", self._path, error.strerror)
        self._listener.close()
        self._wake_receiver.close()
        self._wake_sender.close()
