"""MQTT against a real broker: what is published, what a broker that goes and comes back costs, who may do what."""

import contextlib
import logging
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kwsd import config
from kwsd.cli.check_config import sink_faults, to_yaml
from kwsd.errors import ConfigError
from kwsd.events import DetectionEvent, StatusEvent, encode
from kwsd.sinks.bus import Bus
from kwsd.sinks.mqtt.settings import MqttSettings, host_node
from kwsd.sinks.mqtt.sink import MqttSink
from kwsd.sinks.sink import Services
from kwsd.uptime import uptime_s
from tests.helpers import broker as mosquitto
from tests.helpers.broker import LIMIT_S, Broker, Watcher, broker, wait_until, watching
from tests.sinks.conftest import is_running

pytestmark = pytest.mark.skipif(bool(mosquitto.missing()), reason=f"needs {mosquitto.missing()}")

PEM = str(Path(__file__).with_name("self_signed.pem"))
LISTENING = StatusEvent("2026-11-21T09:30:00.125Z", "listening", "audio flows", "2026-11-21T09:29:00.000Z")
STOPPING = StatusEvent("2026-11-21T09:31:00.125Z", "stopping", "asked to stop", "2026-11-21T09:31:00.000Z")


class House:
    """What a daemon offers to its sinks, and what they asked of it."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, Any]] = []
        self.snapshot: dict[str, Any] = {
            "detections": 3,
            "samples_lost": 0,
            "armed": {},
            "listeners": {"default": {"level_dbfs": -41.5, "on_demand": ["stop"]}},
        }
        self.services = Services(self.hello, lambda: self.snapshot, lambda *_: None, self.control, dict, dict)

    def hello(self) -> dict[str, Any]:
        return {"model": "kwsd-default", "labels": ["_silence_", "_unknown_", "stop", "go", "größer"]}

    def control(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append(request)
        verb = next(iter(request), "")
        if verb not in ("pause", "resume", "arm", "disarm"):
            return {"type": "error", "message": f"there is no {verb!r}"}
        return {"type": "done", "did": verb}


def heard(seq: int = 1, label: str = "stop", age_s: float = 0.0) -> DetectionEvent:
    now = uptime_s() - age_s
    return DetectionEvent(f"5f2c9a1e7b3d-{seq}", seq, "t", label, 0.912, 52340, 31.4, "kwsd-default", "USB Audio", now)


@contextlib.contextmanager
def running(port: int, house: House | None = None, host: str = "127.0.0.1", **keys: Any) -> Iterator[MqttSink]:
    """A sink that is started and told that kwsd listens; in the end, stopped."""
    environ = keys.pop("environ", {})
    settings = MqttSettings(**{"host": host, "port": port, "node": "kitchen"} | keys)
    sink = MqttSink(settings, (house or House()).services, environ)
    sink.start()
    try:
        sink.put(LISTENING)
        yield sink
    finally:
        sink.put(STOPPING)
        sink.stop(join_s=LIMIT_S)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Broker]:
    with broker(tmp_path) as running:
        yield running


@pytest.fixture
def watcher(served: Broker) -> Iterator[Watcher]:
    with watching(served.port) as client:
        yield client


def settled(sink: MqttSink) -> dict[str, int]:
    assert sink.drain(time.monotonic() + LIMIT_S)
    return sink.counters


# What is published.


def test_an_event_is_published_as_it_is_once_and_not_retained(served: Broker, watcher: Watcher) -> None:
    event = heard()
    with running(served.port) as sink:
        sink.put(event)
        assert settled(sink) == {"queued": 0, "sent": 1, "dropped": 0, "retried": 0}
        wait_until(lambda: watcher.of("kwsd/kitchen/event"), "the event")
    [message] = watcher.of("kwsd/kitchen/event")
    assert message.payload.decode() == encode(event.to_dict())
    assert (message.qos, message.retain) == (1, False)
    assert message.expiry_s is not None and 1 <= message.expiry_s <= 10


def test_state_and_availability_are_there_for_whoever_comes_later(served: Broker) -> None:
    with running(served.port) as sink:
        with watching(served.port) as early:
            wait_until(lambda: early.last("kwsd/kitchen/state"), "the state")
        with watching(served.port) as late:
            wait_until(lambda: late.last("kwsd/kitchen/state") and late.last("kwsd/kitchen/availability"), "both")
            assert late.last("kwsd/kitchen/availability") == b"online"
            [state] = late.of("kwsd/kitchen/state")
            assert state.json == LISTENING.to_dict()
            assert state.retain
        assert sink.counters["sent"] == 0
    with watching(served.port) as after:
        wait_until(lambda: after.last("kwsd/kitchen/availability") == b"offline", "it says offline")
        wait_until(lambda: after.last("kwsd/kitchen/state"), "the state")
        assert after.of("kwsd/kitchen/state")[-1].json["state"] == "stopping"


def test_the_order_of_many_events_is_kept(served: Broker, watcher: Watcher) -> None:
    with running(served.port) as sink:
        for seq in range(1, 301):
            sink.put(heard(seq))
        assert settled(sink)["sent"] == 300
        wait_until(lambda: len(watcher.of("kwsd/kitchen/event")) == 300, "all of them")
    assert [message.json["seq"] for message in watcher.of("kwsd/kitchen/event")] == list(range(1, 301))


def test_only_is_heeded(served: Broker, watcher: Watcher) -> None:
    with running(served.port, only=("go",)) as sink:
        sink.put(heard(1, "stop"))
        sink.put(heard(2, "go"))
        assert settled(sink)["sent"] == 1
        wait_until(lambda: watcher.of("kwsd/kitchen/event"), "the event")
    assert [message.json["label"] for message in watcher.of("kwsd/kitchen/event")] == ["go"]


# A broker that is not there.


def test_a_broker_that_is_away_costs_old_events_only(served: Broker, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with running(served.port, max_age_s=60) as sink:
        sink.put(heard(1))
        settled(sink)
        served.stop()
        wait_until(lambda: "mqtt 127.0.0.1" in caplog.text, "it is told")
        sink.put(heard(2, age_s=59.5))  # half a second later nobody wants to hear of it
        sink.put(heard(3))
        wait_until(lambda: sink.counters["dropped"] == 1, "the stale one is dropped while nobody is there")
        served.start()
        with watching(served.port) as watcher:
            assert settled(sink) == {"queued": 0, "sent": 2, "dropped": 1, "retried": 0}
            wait_until(lambda: watcher.of("kwsd/kitchen/event"), "the fresh one")
            wait_until(lambda: watcher.last("kwsd/kitchen/availability") == b"online", "it is back")
            wait_until(lambda: watcher.last("kwsd/kitchen/state"), "the state, which the broker has forgotten")
            assert [message.json["seq"] for message in watcher.of("kwsd/kitchen/event")] == [3]
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(told) == len(set(told)) <= 3  # the connection, the refused attempts, what was dropped: once each
    assert caplog.text.count("connected as kwsd-kitchen") == 2


def test_what_a_frozen_broker_did_not_confirm_is_sent_again_in_order(served: Broker) -> None:
    with running(served.port, max_age_s=60) as sink:
        sink.put(heard(1))
        settled(sink)
        served.process.send_signal(signal.SIGSTOP)
        for seq in range(2, 41):
            sink.put(heard(seq))
        wait_until(lambda: len(sink._in_flight) == 20, "as many are on their way as may be")
        assert sink.counters["queued"] == 39
        served.process.kill()
        served.process.wait(LIMIT_S)
        served.start()
        with watching(served.port) as watcher:
            counters = settled(sink)
            assert (counters["sent"], counters["dropped"], counters["retried"]) == (40, 0, 20)
            wait_until(lambda: watcher.last("kwsd/kitchen/event") == encode(heard(40).to_dict()).encode(), "the last")
            seqs = [message.json["seq"] for message in watcher.of("kwsd/kitchen/event")]
            assert seqs == list(range(seqs[0], 41))  # the watcher may have come after the first of them


def test_stop_does_not_wait_for_a_broker_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # takes the connection, and says nothing
        settings = MqttSettings(host="127.0.0.1", port=deaf.getsockname()[1], node="kitchen")
        sink = MqttSink(settings, House().services)
        sink.start()
        deaf.accept()[0].close()
        sink.put(heard())
        began_s = time.monotonic()
        sink.stop()
        assert time.monotonic() - began_s < 1
        assert sink.counters["dropped"] == 1


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=80), st.booleans())
def test_a_server_that_answers_nonsense_ends_its_connection_and_nothing_else(nonsense: bytes, polite: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(LIMIT_S)
        deaths: list[BaseException] = []
        with running(server.getsockname()[1]) as sink:
            sink.on_death = lambda _sink, error: deaths.append(error)
            connection = server.accept()[0]
            with connection, contextlib.suppress(OSError):
                connection.recv(1024)
                connection.sendall(b"\x20\x03\x00\x00\x00" + nonsense if polite else nonsense)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass
            assert is_running(sink)
        assert deaths == []


# Who may do what.


def test_a_wrong_password_is_told_once_and_not_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "kwsd", "s3cretright"], check=True)
    passwords.chmod(0o600)
    mine = tmp_path / "password"
    mine.write_text("s3cretwrong\n")
    with broker(tmp_path, f"password_file {passwords}") as served:
        with running(served.port, username="kwsd", password_file=str(mine)):
            wait_until(lambda: "refuses: Not authorized" in caplog.text, "it is told")
        with running(served.port, username="kwsd", password_env="P", environ={"P": " s3cretright\n"}) as sink:
            sink.put(heard())
            assert settled(sink)["sent"] == 1
    assert caplog.text.count("Not authorized") == 1
    assert "s3cret" not in caplog.text
    assert "s3cret" not in served.log


def test_what_the_broker_does_not_let_it_publish_is_counted_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic write kwsd/kitchen/state\ntopic write kwsd/kitchen/availability\n")
    acl.chmod(0o600)
    with broker(tmp_path, "allow_anonymous true", f"acl_file {acl}") as served, running(served.port) as sink:
        sink.put(heard())
        assert settled(sink) == {"queued": 0, "sent": 0, "dropped": 1, "retried": 0}
        assert "refuses what is published: Not authorized" in caplog.text


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[Broker]:
    certificate = tmp_path / "server.pem"
    certificate.write_bytes(Path(PEM).read_bytes())
    lines = [f"cafile {certificate}", f"certfile {certificate}", f"keyfile {certificate}", "allow_anonymous true"]
    with broker(tmp_path, *lines) as served:
        yield served


def test_tls_with_an_own_authority(tls: Broker) -> None:
    with running(tls.port, host="localhost", tls={"ca_file": PEM}) as sink:
        sink.put(heard())
        assert settled(sink)["sent"] == 1


# paho leaves the socket of a handshake that failed to the garbage collector, which closes it at once.
_LEFT_OPEN = pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket")


@_LEFT_OPEN
def test_a_certificate_of_nobody_we_trust_is_refused(tls: Broker, caplog: pytest.LogCaptureFixture) -> None:
    with running(tls.port, host="localhost", tls={}):
        wait_until(lambda: "self-signed certificate" in caplog.text, "it is told")


@_LEFT_OPEN
def test_a_certificate_for_another_name_is_refused(tls: Broker, caplog: pytest.LogCaptureFixture) -> None:
    with running(tls.port, host="127.0.0.1", tls={"ca_file": PEM}):
        wait_until(lambda: "IP address mismatch" in caplog.text, "it is told")


# Control.


def test_what_is_published_to_set_is_carried_out(
    served: Broker, watcher: Watcher, caplog: pytest.LogCaptureFixture
) -> None:
    house = House()
    caplog.set_level(logging.INFO)
    with running(served.port, house) as sink:
        wait_until(lambda: watcher.last("kwsd/kitchen/state"), "it is connected")
        watcher.publish("kwsd/kitchen/set", '{"pause":{"for_s":60}}')
        wait_until(lambda: house.asked == [{"pause": {"for_s": 60}}], "it is asked")
        house.snapshot["armed"] = {"stop": {"until": "2026-11-21T09:31:00.000Z", "threshold": 0.45}}
        sink.put(LISTENING)
        wait_until(lambda: b"stop" in (watcher.last("kwsd/kitchen/armed") or b""), "what is armed is told")
        for nonsense in (b"", b"pause", b"[1]", b'{"x":1}', b"[" * 4000, b" " * 5000, b"\xff"):
            watcher.publish("kwsd/kitchen/set", nonsense)
        wait_until(lambda: caplog.text.count("kwsd/kitchen/set: ") == 8, "each is answered in the log")
    assert house.asked[1:] == [{"x": 1}]
    assert "kwsd/kitchen/set: pause" in caplog.text


def test_an_old_command_that_the_broker_has_kept_is_not_obeyed(served: Broker, watcher: Watcher) -> None:
    house = House()
    watcher.publish("kwsd/kitchen/set", '{"pause":{}}', retain=True)
    with running(served.port, house):
        wait_until(lambda: watcher.last("kwsd/kitchen/state"), "it is connected")
        watcher.publish("kwsd/kitchen/set", '{"resume":{}}')
        wait_until(lambda: house.asked, "it is asked")
    assert house.asked == [{"resume": {}}]


def test_without_control_nothing_is_obeyed_and_no_switch_is_offered(served: Broker, watcher: Watcher) -> None:
    house = House()
    with running(served.port, house, control=False) as sink:
        wait_until(lambda: watcher.last("homeassistant/device/kwsd_kitchen/config"), "the discovery message")
        watcher.publish("kwsd/kitchen/set", '{"pause":{}}')
        sink.put(heard())
        settled(sink)
    assert house.asked == []
    [config] = watcher.of("homeassistant/device/kwsd_kitchen/config")
    assert {each["platform"] for each in config.json["components"].values()} == {"event", "sensor"}


# Several of them, and a reload.


def test_twenty_at_once_and_a_broker_that_starts_anew(served: Broker) -> None:
    with contextlib.ExitStack() as stack:
        sinks = [stack.enter_context(running(served.port, node=f"room{n}", max_age_s=60)) for n in range(20)]
        for number, sink in enumerate(sinks):
            sink.put(heard(number + 1))
        assert [settled(sink)["sent"] for sink in sinks] == [1] * 20
        served.stop()
        served.start()
        with watching(served.port) as watcher:
            for number, sink in enumerate(sinks):
                sink.put(heard(number + 100))
            assert [settled(sink)["sent"] for sink in sinks] == [2] * 20
            wait_until(
                lambda: all(watcher.last(f"kwsd/room{n}/availability") == b"online" for n in range(20)), "all are back"
            )


def test_two_of_one_name_are_told_of_each_other(
    served: Broker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kwsd.sinks.mqtt.sink.RETRY_MIN_S", 0.1)
    with running(served.port), running(served.port):
        wait_until(lambda: "another kwsd may have the node kitchen" in caplog.text, "it is told")
    assert caplog.text.count("WARNING") <= 6  # once by each of them


def test_a_reload_goes_on_with_the_connection_s_name_and_loses_nothing(served: Broker, watcher: Watcher) -> None:
    house, deaths = House(), []
    common = {"host": "127.0.0.1", "port": served.port, "node": "kitchen"}
    bus = Bus([MqttSink(MqttSettings(**common), house.services)], lambda *death: deaths.append(death))
    bus.start()
    topic = "homeassistant/device/kwsd_kitchen/config"
    try:
        wait_until(lambda: watcher.last(topic), "it is connected")
        [sink] = bus.sinks
        for seq in range(1, 11):
            bus.publish(heard(seq))
        bus.replace([MqttSink(MqttSettings(**common, discovery=False, only=("stop",)), house.services)])
        assert bus.sinks == (sink,)
        for seq in range(11, 21):
            bus.publish(heard(seq))
        assert bus.drain(time.monotonic() + LIMIT_S)
        wait_until(lambda: len({m.json["seq"] for m in watcher.of("kwsd/kitchen/event")}) == 20, "all events")
        wait_until(lambda: watcher.last(topic) == b"", "what Home Assistant was told is taken back")
    finally:
        bus.stop()
    assert deaths == []
    assert sink.counters["sent"] == 20


# The configuration.


def test_the_keys(tmp_path: Path) -> None:
    read = config.read(b"sinks: [{type: mqtt, host: broker.lan}]", "x.yaml").sinks
    assert read is not None
    [plain] = read
    assert isinstance(plain, MqttSettings)
    assert (plain.port_in_force, plain.tls, plain.max_age_s, plain.discovery_prefix) == (
        1883,
        None,
        10,
        "homeassistant",
    )
    assert plain.node_in_force == host_node(socket.gethostname())
    read = config.read(b"sinks: [{type: mqtt, host: h, tls: true}, {type: mqtt, host: h, tls: false}]", "x.yaml").sinks
    assert read is not None
    assert [sink.port_in_force for sink in read if isinstance(sink, MqttSettings)] == [8883, 1883]


@pytest.mark.parametrize(
    ("host", "node"),
    [("kitchen", "kitchen"), ("pi-4.lan", "pi-4"), ("Küche 1", "K_che_1"), ("", "kwsd"), ("a/+#", "a___")],
)
def test_a_host_s_name_becomes_a_level_of_a_topic(host: str, node: str) -> None:
    assert host_node(host) == node


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{type: mqtt}", "key 'host': required; allowed: a host name or an address"),
        ("{type: mqtt, host: 'mqtt://u:s3cret@h'}", "key 'host': this one is not allowed; allowed: a host name"),
        ("{type: mqtt, host: h, node: a/b}", "key 'node': got 'a/b'; allowed: a name of at most 64"),
        ("{type: mqtt, host: h, tls: 1}", "key 'tls': got 1; allowed: true, false, or a mapping"),
        ("{type: mqtt, host: h, tls: {cafile: x}}", "key 'cafile': unknown; the nearest is 'ca_file'"),
        ("{type: mqtt, host: h, tls: {key_file: x}}", "key 'key_file': requires cert_file"),
        ("{type: mqtt, host: h, password: s3cret}", "key 'password': unknown; the nearest is 'password_"),
        (
            "{type: mqtt, host: h, password_file: a, password_env: B}",
            "key 'password_env': cannot be combined with 'password_file'",
        ),
        ("{type: mqtt, host: h, discovery_prefix: '#'}", "key 'discovery_prefix': got '#'; allowed: a topic"),
        ("{type: mqtt, host: h, discovery: yes}", "key 'discovery': got 'yes'; allowed: true or false"),
    ],
)
def test_faults_of_the_keys(text: str, fault: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config.read(f"sinks: [{text}]".encode(), "x.yaml")
    [line] = refused.value.faults
    assert line.startswith(f"x.yaml:1: {fault}")
    assert "s3cret" not in line


def test_check_config_finds_files_that_are_missing_and_shows_no_secret(tmp_path: Path) -> None:
    password, nothing = tmp_path / "password", tmp_path / "nothing"
    password.write_text("s3cret")
    text = f"sinks: [{{type: mqtt, host: h, username: u, password_file: {password}, tls: {{ca_file: {nothing}}}}}]"
    read = config.read(text.encode(), "x.yaml")
    assert sink_faults(read) == [f"x.yaml:1: key 'tls': mqtt: ca_file {nothing}: No such file or directory"]
    shown = to_yaml(read)
    assert "s3cret" not in shown
    assert config.read(shown.encode(), "x.yaml").sinks == read.sinks
    nothing.write_text("no certificate")
    assert "holds no certificate in PEM" in sink_faults(read)[0]
    password.unlink()
    nothing.write_bytes(Path(PEM).read_bytes())
    assert sink_faults(read) == [
        f"x.yaml:1: key 'password_file': mqtt: password_file {password}: No such file or directory"
    ]


def test_without_paho_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import util

    monkeypatch.setattr(util, "find_spec", lambda name: None)
    with pytest.raises(Exception, match=r"paho-mqtt is not installed. Type: pip install 'kwsd\[house\]'"):
        MqttSink(MqttSettings(host="h"), House().services)
