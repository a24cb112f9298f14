"""One connection to a broker, from CONNECT to its end, in its owner's thread.

paho-mqtt speaks the protocol (MQTT 5). Its own thread and its own queue are not used: it would keep messages without
limit, send stale ones after a reconnect, and drop the newest where it should drop the oldest.
"""

import ssl
from collections import deque
from typing import Any, NamedTuple

KEEPALIVE_S = 30
CONNECT_LIMIT_S = 5.0
PACKET_MAX_BYTES = 65_536
IN_FLIGHT_MAX = 20


class Options(NamedTuple):
    """Where to connect, and the credentials.

    Attributes:
        will_topic: gets ``offline``, retained, from the broker when the connection is lost.
    """

    host: str
    port: int
    client_id: str
    username: str | None
    password: bytes | None
    tls: ssl.SSLContext | None
    will_topic: str


class Received(NamedTuple):
    """A message from the broker."""

    topic: str
    payload: bytes


class Connection:
    """A connection.

    Attributes:
        accepted: the broker has let kwsd in.
        greeted: the owner has begun to use it.
        refused: the broker has rejected kwsd, or prefers another client of the same name.
        ended: why the connection is over, in words; None while it lasts.
        in_flight_max: how many publications the broker takes before it has confirmed the first.
        confirmed: numbers of publications that the broker has answered, each with its reason to reject it, or None; the
            owner empties it.
        received: messages; the owner empties it.

    Raises:
        OSError: the broker cannot be reached, or TLS fails.
    """

    def __init__(self, options: Options) -> None:
        from paho.mqtt import client as paho
        from paho.mqtt.enums import CallbackAPIVersion

        self.accepted = self.greeted = self.refused = False
        self.ended: str | None = None
        self.in_flight_max = IN_FLIGHT_MAX
        self.confirmed: deque[tuple[int, str | None]] = deque()
        self.received: deque[Received] = deque()
        client: Any = paho.Client(CallbackAPIVersion.VERSION2, client_id=options.client_id, protocol=paho.MQTTv5)
        client.connect_timeout = CONNECT_LIMIT_S
        client.username_pw_set(options.username, options.password)
        if options.tls is not None:
            client.tls_set_context(options.tls)
        client.will_set(options.will_topic, b"offline", qos=1, retain=True)
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_publish, client.on_message = self._on_publish, self._on_message
        self._client = client
        limits = _properties("CONNECT", MaximumPacketSize=PACKET_MAX_BYTES)
        client.connect(options.host, options.port, KEEPALIVE_S, clean_start=True, properties=limits)

    def fileno(self) -> int:
        """The descriptor to wait on; -1 once there is none."""
        connection = self._client.socket()
        return -1 if connection is None else connection.fileno()

    @property
    def writes(self) -> bool:
        """Whether there is data that the kernel has not taken yet."""
        return bool(self._client.want_write())

    def step(self) -> None:
        """Reads incoming data, sends waiting data, and checks whether the broker still answers."""
        try:
            self._client.loop_read()
            while isinstance(inner := self._client.socket(), ssl.SSLSocket) and inner.pending():
                self._client.loop_read()
            if self.writes:
                self._client.loop_write()
            self._client.loop_misc()
        except Exception as error:  # paho parses packets without checks; a bad one ends its connection, not kwsd
            self.ended = f"a packet cannot be understood ({type(error).__name__})"
        if self.ended is None and self.fileno() < 0:
            self.ended = "the connection was lost"

    def publish(self, topic: str, payload: bytes, *, retain: bool = False, expiry_s: int | None = None) -> int:
        """Sends with QoS 1; the number that will be `confirmed`."""
        properties = None if expiry_s is None else _properties("PUBLISH", MessageExpiryInterval=expiry_s)
        return int(self._client.publish(topic, payload, 1, retain, properties).mid)

    def subscribe(self, topic: str) -> None:
        """Subscribes to new messages only, not to retained ones, so that an old "pause" is not obeyed again."""
        from paho.mqtt.subscribeoptions import SubscribeOptions

        self._client.subscribe(topic, options=SubscribeOptions(1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND))

    def close(self, *, gracefully: bool = True) -> None:
        """Ends it; ``gracefully``: makes the broker publish the will, as when the connection is lost."""
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.reasoncodes import ReasonCode

        if gracefully and self.accepted and self.fileno() >= 0:
            self._client.disconnect(reasoncode=ReasonCode(PacketTypes.DISCONNECT, "Disconnect with will message"))
        if (connection := self._client.socket()) is not None:
            connection.close()

    # Called by paho, from within `step` and `publish`.

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self.refused, self.ended = True, f"the broker refuses: {reason}"
            return
        self.accepted = True
        self.in_flight_max = min(IN_FLIGHT_MAX, getattr(properties, "ReceiveMaximum", IN_FLIGHT_MAX))

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if self.ended is None:
            self.ended = (
                "the connection was lost" if str(reason) == "Unspecified error" else f"the broker says: {reason}"
            )

    def _on_publish(self, _client: Any, _data: Any, number: int, reason: Any, _properties: Any) -> None:
        self.confirmed.append((number, str(reason) if reason.is_failure else None))

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        self.received.append(Received(message.topic, message.payload))


def _properties(packet: str, **values: int) -> Any:
    from paho.mqtt import packettypes, properties

    make: Any = properties.Properties
    made = make(getattr(packettypes.PacketTypes, packet))
    for name, value in values.items():
        setattr(made, name, value)
    return made
