"""A real MQTT broker (mosquitto) and somebody who watches what goes through it."""

import contextlib
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

LIMIT_S = 30.0


def missing() -> str:
    """What is not installed, in words; empty when nothing is."""
    return "" if _program() else "mosquitto (a Debian package); `make test` installs it"


def _program() -> str | None:
    places = ("/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/usr/bin/mosquitto")
    return next((place for place in places if Path(place).exists()), None)


class Broker:
    """mosquitto on a free port of 127.0.0.1, in a folder of its own.

    Args:
        lines: of its configuration, beside the listener's; by default everybody may do everything.
    """

    def __init__(self, folder: Path, *lines: str) -> None:
        self.port = free_port()
        self._settings = folder / "mosquitto.conf"
        self._log = folder / "mosquitto.log"
        access = lines or ("allow_anonymous true",)
        self._settings.write_text("\n".join([f"listener {self.port} 127.0.0.1", "user root", *access, ""]))
        self.start()

    def start(self) -> None:
        program = _program()
        assert program is not None
        with self._log.open("ab") as log:
            self.process = subprocess.Popen([program, "-v", "-c", self._settings], stdout=log, stderr=log)
        wait_until(self._listens, f"mosquitto listens\n{self._log.read_text()}")

    def _listens(self) -> bool:
        assert self.process.poll() is None, self._log.read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(LIMIT_S)

    @property
    def log(self) -> str:
        return self._log.read_text()


@contextlib.contextmanager
def broker(folder: Path, *lines: str) -> Iterator[Broker]:
    running = Broker(folder, *lines)
    try:
        yield running
    finally:
        running.stop()


class Message(NamedTuple):
    topic: str
    payload: bytes
    qos: int
    retain: bool
    expiry_s: int | None

    @property
    def json(self) -> Any:
        return json.loads(self.payload)


class Watcher:
    """A client that is subscribed to everything, as Home Assistant is to its part.

    Args:
        session: a name under which the broker keeps for it what comes while it is away; empty for none.
    """

    def __init__(self, port: int, session: str = "", **tls: str) -> None:
        self.messages: list[Message] = []
        self._subscribed = threading.Event()
        if session:  # mosquitto 2.0.11 forgets those of MQTT 5 when it restarts
            client = paho.Client(CallbackAPIVersion.VERSION2, session, clean_session=False, protocol=paho.MQTTv311)
        else:
            client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        client.on_connect = lambda *_: client.subscribe("#", qos=1)
        client.on_subscribe = lambda *_: self._subscribed.set()
        client.on_message = lambda _client, _data, message: self.messages.append(
            Message(
                message.topic,
                message.payload,
                message.qos,
                message.retain,
                getattr(message.properties, "MessageExpiryInterval", None),
            )
        )
        self.client = client
        if tls:
            client.tls_set(**tls)
        client.reconnect_delay_set(1, 1)
        client.connect("127.0.0.1", port)
        client.loop_start()
        assert self._subscribed.wait(LIMIT_S)

    def of(self, topic: str) -> list[Message]:
        return [message for message in list(self.messages) if message.topic == topic]

    def last(self, topic: str) -> bytes | None:
        found = self.of(topic)
        return found[-1].payload if found else None

    def publish(self, topic: str, payload: str | bytes, retain: bool = False) -> None:
        self.client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(LIMIT_S)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@contextlib.contextmanager
def watching(port: int, session: str = "", **tls: str) -> Iterator[Watcher]:
    watcher = Watcher(port, session, **tls)
    try:
        yield watcher
    finally:
        watcher.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_until(condition: Callable[[], object], what: str, limit_s: float = LIMIT_S) -> None:
    give_up_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < give_up_s, f"not within {limit_s:g} s: {what}"
        time.sleep(0.01)
