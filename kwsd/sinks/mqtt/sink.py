"""MQTT: words as events, the state as a retained message, and control, through a broker.

One thread owns the connection and all that is sent. A detection waits in the sink's own bounded queue until the broker
has confirmed it or it is too old. If the connection breaks, unconfirmed events go back to the front of the queue: a
receiver may get an event twice (with the same ``id``), but never a stale one, and never out of order.
"""

import contextlib
import json
import logging
import math
import os
import random
import select
import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from kwsd.errors import UnavailableError
from kwsd.events import DetectionEvent, Event, StatusEvent, encode
from kwsd.sinks.mqtt import discovery
from kwsd.sinks.mqtt.access import password, tls_context
from kwsd.sinks.mqtt.board import Board
from kwsd.sinks.mqtt.connection import CONNECT_LIMIT_S, Connection, Options, Received
from kwsd.sinks.sink import Services, Sink
from kwsd.uptime import uptime_s
from kwsd.validation.kinds import SPECIAL_LABELS

if TYPE_CHECKING:
    from kwsd.sinks.mqtt.settings import MqttSettings

log = logging.getLogger(__name__)

TICK_S = 1.0
RETRY_MIN_S, RETRY_MAX_S = 1.0, 10.0
RETRY_REFUSED_S = 60.0  # a wrong password, or another kwsd of the same name, has to be fixed by the user
STEADY_S = 30.0  # a connection that lasted this long was a good one
SHORT_ONES = 3  # in a row; mosquitto 2.0 silently disconnects one of two clients of the same name
GOODBYE_S = 0.15
COMMAND_MAX_BYTES = 4096


class MqttSink(Sink):
    """Publishes to one broker.

    Its counters are of detections. A state that is replaced before the broker is reached is not sent.

    Args:
        settings: its configuration.
        services: snapshot, words and control.
        environ: where ``password_env`` is looked up.

    Raises:
        ConfigError: password or certificates cannot be read.
        UnavailableError: paho-mqtt is not installed.
    """

    name = "mqtt"
    types = frozenset({"detection", "status"})

    def __init__(self, settings: "MqttSettings", services: Services, environ: Mapping[str, str] = os.environ) -> None:
        super().__init__(settings, settings.only)
        self.drain_limit_s = settings.max_age_s
        self._services = services
        self._options = _options(settings, environ)
        self._topics = discovery.Topics.of(settings.node_in_force)
        self._broker = f"mqtt {settings.host}:{settings.port_in_force}"
        self._board = Board()
        self._announced = ""  # the topic of the discovery message on the board
        self._state: StatusEvent | None = None
        self._in_flight: dict[int, DetectionEvent | None] = {}  # by number; None for messages of the board
        self._renew = False
        self._next_tick_s = 0.0
        self._failures = 0
        self._troubles: set[str] = set()  # what was logged since the last good connection

    @classmethod
    def create(cls, settings: "MqttSettings", services: Services) -> Self:
        return cls(settings, services)

    # Called by the bus.

    def put(self, event: Event) -> None:
        if not isinstance(event, StatusEvent):
            super().put(event)
            return
        self._state = event
        self._tick_soon()

    def can_adopt(self, new: Sink) -> bool:
        """Two clients of the same name would disconnect each other."""
        return isinstance(new, MqttSink) and _identity(self._options) == _identity(new._options)

    def adopt(self, new: Sink) -> None:
        assert isinstance(new, MqttSink)
        self._renew = self._renew or self.settings != new.settings
        self.settings, self.only, self.drain_limit_s = new.settings, new.only, new.drain_limit_s
        self._options = new._options
        self._tick_soon()

    def open(self) -> None:
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._wake_receiver.setblocking(False)
        self._wake_sender.setblocking(False)

    def wake(self) -> None:
        with contextlib.suppress(OSError):  # full: the thread will wake anyway; closed: it has ended
            self._wake_sender.send(b"w")

    def backlog(self) -> int:
        return super().backlog() + sum(event is not None for event in self._in_flight.values())

    def _tick_soon(self) -> None:
        self._next_tick_s = 0.0
        if self._thread is not None:
            self.wake()

    # The sink's thread: one connection after another.

    def run(self) -> None:
        try:
            while not self._stopping.is_set():
                refused = self._session()
                longest_s = RETRY_REFUSED_S if refused else min(RETRY_MIN_S * 2**self._failures, RETRY_MAX_S)
                self._failures = min(self._failures + 1, 10)
                self._wait(random.uniform(0.5, 1.0) * longest_s)
        finally:
            self._wake_receiver.close()
            self._wake_sender.close()

    def _session(self) -> bool:
        """Runs one connection to its end; returns whether the broker has rejected it."""
        self._renew = False
        try:
            connection = Connection(self._options)
        except (OSError, ValueError) as error:
            self._complain(getattr(error, "verify_message", None) or getattr(error, "strerror", None) or str(error))
            return False
        began_s = time.monotonic()
        try:
            while connection.ended is None and not self._stopping.is_set() and not self._renew:
                if connection.accepted:
                    self._serve(connection)
                elif time.monotonic() > began_s + CONNECT_LIMIT_S:
                    connection.ended = "the broker does not answer"
                self._poll(connection)
            if connection.accepted and time.monotonic() > began_s + STEADY_S:
                self._failures = 0
                self._troubles.clear()
            if connection.ended is not None:
                self._complain(self._why(connection))
            else:
                self._say_goodbye(connection)
        finally:
            connection.close()
            self._take_back()
        return connection.refused

    def _serve(self, connection: Connection) -> None:
        if not connection.greeted:
            connection.greeted = True
            self._greet(connection)
        while connection.received:
            self._obey(connection.received.popleft())
        if time.monotonic() >= self._next_tick_s:
            self._tick()
        self._feed(connection)

    def _greet(self, connection: Connection) -> None:
        """Greets a broker that may have lost everything."""
        log.info("%s: connected as %s", self._broker, self._options.client_id)
        self._board.hold(self._topics.availability, b"online")
        self._board.all_again()
        self._next_tick_s = 0.0
        if self.settings.control:
            connection.subscribe(self._topics.set)
        if self.settings.discovery:
            connection.subscribe(f"{self.settings.discovery_prefix}/status")

    def _feed(self, connection: Connection) -> None:
        """Publishes due and fresh events, as many as may be in flight."""
        self._drop_stale()
        while self._board.due and len(self._in_flight) < connection.in_flight_max:
            self._in_flight[connection.publish(*self._board.take(), retain=True)] = None
        while len(self._in_flight) < connection.in_flight_max and (event := self._next()) is not None:
            left_s = math.ceil(event.heard_s + self.settings.max_age_s - uptime_s())
            number = connection.publish(self._topics.event, _payload(event.to_dict()), expiry_s=max(1, left_s))
            with self._changed:
                self._in_flight[number] = event
                self._in_hand = 0

    def _next(self) -> DetectionEvent | None:
        with self._changed:
            if not self._queue:
                return None
            self._in_hand = 1
            event = self._queue.popleft()
        assert isinstance(event, DetectionEvent)
        return event

    def _poll(self, connection: Connection) -> None:
        """Waits until something happens, at most a second, and processes the broker's confirmations."""
        poller = select.poll()
        poller.register(self._wake_receiver, select.POLLIN)
        if (fd := connection.fileno()) >= 0:
            poller.register(fd, select.POLLIN | (select.POLLOUT if connection.writes else 0))
            poller.poll(TICK_S * 1000)
        with contextlib.suppress(BlockingIOError):
            self._wake_receiver.recv(4096)
        connection.step()
        while connection.confirmed:
            self._confirm(*connection.confirmed.popleft())

    def _confirm(self, number: int, refusal: str | None) -> None:
        if refusal is not None:
            self._complain(f"the broker refuses what is published: {refusal}")
        with self._changed:
            if self._in_flight.pop(number, None) is not None:
                self._sent += refusal is None
                self._dropped += refusal is not None
            self._changed.notify_all()

    def _take_back(self) -> None:
        """Returns unconfirmed events to the queue, in order."""
        with self._changed:
            events = [event for event in self._in_flight.values() if event is not None]
            self._in_flight.clear()
            self._queue.extendleft(reversed(events))
            self._retried += len(events)

    def _drop_stale(self) -> None:
        now, dropped = uptime_s(), 0
        with self._changed:
            while self._queue and _heard_s(self._queue[0]) + self.settings.max_age_s <= now:
                self._queue.popleft()
                dropped += 1
            self._dropped += dropped
            self._changed.notify_all()
        if dropped:
            self._complain("events are dropped, too old to be of use")

    def _wait(self, seconds: float) -> None:
        """Waits before the next attempt, dropping old events meanwhile."""
        until_s = time.monotonic() + seconds
        while not self._stopping.is_set() and not self._renew and (left_s := until_s - time.monotonic()) > 0:
            self._drop_stale()
            self.pause(min(left_s, TICK_S))

    def _say_goodbye(self, connection: Connection) -> None:
        """Publishes the last state; the broker then announces that kwsd is offline."""
        if not connection.accepted:
            return
        self._tick()
        while self._board.due:
            connection.publish(*self._board.take(), retain=True)
        until_s = time.monotonic() + GOODBYE_S
        while connection.writes and connection.ended is None and time.monotonic() < until_s:
            connection.step()

    # State, discovery, control.

    def _tick(self) -> None:
        """Updates the board when the state has changed, and every ten seconds."""
        self._next_tick_s = time.monotonic() + discovery.SENSORS_EVERY_S
        snapshot = self._services.snapshot()
        if (state := self._state) is not None:
            self._board.hold(self._topics.state, _payload(state.to_dict()))
        self._board.hold(self._topics.armed, _payload(snapshot["armed"]))
        where = discovery.topic(self.settings.discovery_prefix, self.settings.node_in_force)
        if self._announced and (self._announced != where or not self.settings.discovery):
            self._board.clear(self._announced)
        if self.settings.discovery:
            self._announced = where
            self._board.hold(where, _payload(self._discovery(snapshot)))
            self._board.show(self._topics.sensors, _payload(discovery.sensors(snapshot)))

    def _discovery(self, snapshot: Mapping[str, Any]) -> dict[str, Any]:
        hello = self._services.hello()
        taken = hello["labels"] if self.only is None else self.only.intersection(hello["labels"])
        words = [word for word in hello["labels"] if word in taken and word not in SPECIAL_LABELS]
        armed_first = {word for each in snapshot["listeners"].values() for word in each["on_demand"]}
        on_demand = [word for word in words if word in armed_first]
        node, control = self.settings.node_in_force, self.settings.control
        return discovery.message(node, hello["model"], words, on_demand, control=control)

    def _obey(self, received: Received) -> None:
        if received.topic != self._topics.set:
            if received.payload == b"online":  # Home Assistant has started, and needs the discovery message again
                self._board.all_again()
                self._next_tick_s = 0.0
            return
        answer = self._carry_out(received.payload)
        if answer.get("type") == "error":
            log.warning("%s: %s: %s", self._broker, received.topic, answer.get("message"))
        else:
            log.info("%s: %s: %s", self._broker, received.topic, answer.get("did"))

    def _carry_out(self, payload: bytes) -> dict[str, Any]:
        if len(payload) > COMMAND_MAX_BYTES:
            return _error(f"longer than {COMMAND_MAX_BYTES} bytes")
        try:
            request = json.loads(payload)
        except (ValueError, RecursionError) as error:
            return _error(f"not JSON: {error}")
        return self._services.control(request) if isinstance(request, dict) else _error("not an object")

    def _why(self, connection: Connection) -> str:
        if connection.accepted and self._failures >= SHORT_ONES:
            return f"{connection.ended} again and again; another kwsd may have the node {self.settings.node_in_force}"
        return str(connection.ended)

    def _complain(self, trouble: str) -> None:
        """Logs a problem, once until there was a good connection."""
        log.log(logging.DEBUG if trouble in self._troubles else logging.WARNING, "%s: %s", self._broker, trouble)
        self._troubles.add(trouble)


def _options(settings: "MqttSettings", environ: Mapping[str, str]) -> Options:
    from importlib.util import find_spec

    if find_spec("paho") is None:
        raise UnavailableError("sink mqtt", "paho-mqtt is not installed", "Type: pip install 'kwsd[house]'")
    node = settings.node_in_force
    secret, tls = password(settings.password_file, settings.password_env, environ), tls_context(settings.tls)
    availability = discovery.Topics.of(node).availability
    return Options(settings.host, settings.port_in_force, f"kwsd-{node}", settings.username, secret, tls, availability)


def _identity(options: Options) -> tuple[str, int, str]:
    return options.host, options.port, options.client_id


def _payload(message: Mapping[str, Any]) -> bytes:
    return encode(message).encode(errors="replace")


def _error(message: str) -> dict[str, Any]:
    return {"type": "error", "message": message}


def _heard_s(event: Event) -> float:
    return event.heard_s if isinstance(event, DetectionEvent) else math.inf
