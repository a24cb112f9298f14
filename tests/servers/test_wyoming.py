"""The Wyoming server: frames against the package's own, and whole daemons as Home Assistant and satellites use them."""

import asyncio
import contextlib
import io
import re
import socket
import time
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.event import Event, read_event, write_event
from wyoming.info import Describe, Info
from wyoming.wake import Detect, Detection, NotDetected

from kwsd import config
from kwsd import events as kwsd_events
from kwsd.errors import ConfigError
from kwsd.servers.settings import Address
from kwsd.servers.wyoming.frames import PAYLOAD_MAX_BYTES, Frame, FrameError, FrameReader
from kwsd.servers.wyoming.server import AHEAD_MAX_S, Pace, WyomingServer
from kwsd.servers.wyoming.session import Session, SessionError
from kwsd.servers.wyoming.settings import WyomingSettings
from kwsd.sinks.bus import Bus
from tests.helpers.broker import LIMIT_S, free_port, wait_until
from tests.helpers.kwsd_process import DEMO, ROOT, demo_words, running
from tests.servers.conftest import Daemon

RATE_HZ = 16_000
FORMAT = {"rate": RATE_HZ, "width": 2, "channels": 1}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
DATA = st.dictionaries(TEXT, st.one_of(TEXT, st.integers(-(2**40), 2**40), st.none(), st.lists(TEXT)), max_size=4)


# Frames.


@settings(deadline=None)
@given(st.lists(st.builds(Frame, TEXT, DATA, st.binary(max_size=300)), max_size=5), st.integers(1, 200))
def test_frames_are_read_as_they_were_written_in_pieces_of_any_size(frames: list[Frame], size: int) -> None:
    sent = b"".join(frame.encode() for frame in frames)
    reader = FrameReader()
    assert [f for at in range(0, len(sent), size) for f in reader.push(sent[at : at + size])] == frames


@settings(deadline=None)
@given(TEXT, DATA, st.binary(max_size=300))
def test_frames_are_those_of_the_package(kind: str, data: dict[str, Any], payload: bytes) -> None:
    theirs = read_event(io.BytesIO(Frame(kind, data, payload).encode()))
    assert theirs is not None and (theirs.type, theirs.data, theirs.payload or b"") == (kind, data, payload)
    written = io.BytesIO()
    write_event(Event(kind, data, payload or None), written)
    [ours] = FrameReader().push(written.getvalue())
    assert ours == Frame(kind, data, payload)


@pytest.mark.parametrize(
    "sent",
    [
        b"x" * 9000,
        b"x" * 9000 + b"\n",
        b"\n",
        b"[]\n",
        b"{}\n",
        b'{"type":1}\n',
        b'{"type":"x","payload_length":%d}\n' % (PAYLOAD_MAX_BYTES + 1),
        b'{"type":"x","data_length":-1}\n',
        b'{"type":"x","data_length":1e3}\n',
        b'{"type":"x","data_length":true}\n',
        b'{"type":"x","data_length":2}\n[]',
        b"[" * 8000 + b"\n",
        b"\xff\n",
    ],
)
def test_what_is_no_frame_or_too_large_is_refused(sent: bytes) -> None:
    with pytest.raises(FrameError):
        list(FrameReader().push(sent))


# A conversation.


class Hearer:
    """Hears ``stop`` when a sample is loud, and keeps what it was given."""

    sample_rate_hz, clip_samples = RATE_HZ, 100

    def __init__(self) -> None:
        self.model = self
        self.given: list[np.ndarray] = []

    def push(self, samples: np.ndarray) -> list[kwsd_events.Detection]:
        self.given.append(samples)
        return [kwsd_events.Detection("stop", 0.9, 0)] if samples.size and samples.max() > 0.5 else []


def session(hearers: list[Hearer] | None = None) -> Session:
    made = [] if hearers is None else hearers

    def new() -> Hearer:
        made.append(Hearer())
        return made[-1]

    return Session(["stop", "go"], "kwsd-default", new)


def chunk(*samples: int, timestamp: int | None = None, **how: Any) -> Frame:
    return Frame("audio-chunk", {**FORMAT, "timestamp": timestamp, **how}, np.array(samples, "<i2").tobytes())


LOUD, SOFT = 32_000, 100


def test_a_word_is_told_with_the_time_of_its_chunk() -> None:
    talk = session()
    assert list(talk.receive(Frame("detect", {"names": ["stop"]}))) == []
    assert list(talk.receive(Frame("audio-start", FORMAT))) == []
    assert list(talk.receive(chunk(SOFT, timestamp=10))) == []
    assert list(talk.receive(chunk(LOUD, timestamp=20))) == [Frame("detection", {"name": "stop", "timestamp": 20})]
    assert list(talk.receive(Frame("audio-stop"))) == []


def test_at_the_end_without_a_word_it_is_told_that_there_was_none() -> None:
    talk = session()
    for names in (["go"], ["go", 1]):
        list(talk.receive(Frame("detect", {"names": names})))
        list(talk.receive(Frame("audio-start", FORMAT)))
        assert list(talk.receive(chunk(LOUD))) == []
        assert list(talk.receive(Frame("audio-stop"))) == [Frame("not-detected")]
    assert list(talk.receive(Frame("audio-stop"))) == []


@pytest.mark.parametrize("names", [None, [], "stop", {"stop": 1}])
def test_without_names_every_word_counts(names: Any) -> None:
    talk = session()
    list(talk.receive(Frame("detect", {"names": names})))
    assert [answer.type for answer in talk.receive(chunk(LOUD))] == ["detection"]


def test_each_start_is_a_new_recogniser_that_has_heard_a_clip_of_silence() -> None:
    hearers: list[Hearer] = []
    talk = session(hearers)
    for _ in range(2):
        list(talk.receive(Frame("audio-start", FORMAT)))
        list(talk.receive(chunk(SOFT)))
    assert [[len(samples) for samples in hearer.given] for hearer in hearers] == [[100, 1]] * 2


def test_channels_and_rates_are_those_of_the_model() -> None:
    hearers: list[Hearer] = []
    talk = session(hearers)
    list(talk.receive(chunk(*[SOFT, LOUD] * 480, rate=48_000, channels=2)))
    assert max(samples.max(initial=0) for samples in hearers[0].given[1:]) < 0.1  # the first channel
    assert sum(map(len, hearers[0].given[1:])) <= 160


@pytest.mark.parametrize(
    "wrong", [{"rate": 1}, {"rate": None}, {"rate": True}, {"width": 4}, {"channels": 0}, {"channels": 99}]
)
def test_audio_of_another_kind_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SessionError):
        list(session().receive(Frame("audio-start", {**FORMAT, **wrong})))


def test_whoever_is_too_fast_waits() -> None:
    pace = Pace()
    assert pace.wait_s(AHEAD_MAX_S, 100.0) == 0
    assert pace.wait_s(AHEAD_MAX_S + 3, 100.0) == 3
    assert pace.wait_s(AHEAD_MAX_S + 4, 103.0) == 1  # it has waited
    assert pace.wait_s(AHEAD_MAX_S + 5, 1000.0) == 0


# Over TCP.


@pytest.fixture
def served() -> Iterator[tuple[int, WyomingServer]]:
    daemon, deaths, port = Daemon(), [], free_port()
    services = daemon.services._replace(new_spotter=Hearer)
    server = WyomingServer(WyomingSettings(Address("127.0.0.1", port, "tcp://")), services)
    bus = Bus([server], lambda *death: deaths.append(death))
    bus.start()
    yield port, server
    began_s = time.monotonic()
    bus.stop()
    assert time.monotonic() - began_s < 1
    assert deaths == []


def test_nonsense_is_told_and_ended(served: tuple[int, WyomingServer], caplog: pytest.LogCaptureFixture) -> None:
    port, _ = served
    for nonsense in (b"GET / HTTP/1.1\r\n\r\n", b'{"type":"audio-start","data":{}}\n', b"x" * 20_000):
        with socket.create_connection(("127.0.0.1", port), LIMIT_S) as client, contextlib.suppress(OSError):
            client.sendall(nonsense)
            answer = client.makefile("rb").read()
            assert not answer or [frame.type for frame in FrameReader().push(answer)] == ["error"]


@settings(max_examples=40, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.lists(
            st.builds(
                Frame,
                st.sampled_from(["describe", "detect", "audio-start", "audio-chunk", "audio-stop", "x"]),
                st.one_of(
                    st.just(FORMAT),
                    st.dictionaries(
                        st.sampled_from(["rate", "width", "channels", "names", "timestamp"]),
                        st.one_of(st.none(), st.integers(), st.floats(), TEXT, st.lists(TEXT), st.booleans()),
                    ),
                ),
                st.binary(max_size=40),
            ),
            max_size=6,
        ).map(lambda frames: b"".join(frame.encode() for frame in frames)),
    )
)
def test_whatever_is_sent_ends_at_most_its_own_conversation(sent: bytes) -> None:
    talk = session()
    with contextlib.suppress(FrameError, SessionError):
        for frame in FrameReader().push(sent):
            for answer in talk.receive(frame):
                assert list(FrameReader().push(answer.encode())) == [answer]


def test_connections_are_few_and_a_silent_one_is_ended(
    served: tuple[int, WyomingServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, server = served
    monkeypatch.setattr(WyomingServer, "limit_s", 0.5)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", port), LIMIT_S)) for _ in range(16)]
        with socket.create_connection(("127.0.0.1", port), LIMIT_S) as further:
            assert further.recv(10) == b""
        assert [client.recv(10) for client in clients] == [b""] * 16
    wait_until(lambda: not server._deadlines, "they are gone")


def test_words_are_those_of_the_first_listener_whose_pipeline_hears() -> None:
    listeners = {
        "a": {"models": ["kwsd-tiny"], "thresholds": {"stop": 0.6}, "on_demand": []},
        "b": {"models": ["kwsd-default"], "thresholds": {"go": 0.6}, "on_demand": []},
    }
    services = Daemon().services._replace(snapshot=lambda: {"listeners": listeners}, new_spotter=Hearer)
    server = WyomingServer(WyomingSettings(Address("127.0.0.1", free_port(), "tcp://")), services)
    [answer] = server._new_session().receive(Frame("describe"))
    [program] = answer.data["wake"]
    assert [model["description"] for model in program["models"]] == ["stop (kwsd-tiny)"]


# A whole daemon, and the package's client.


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A kwsd that listens to silence, whose Wyoming server is at the port."""
    folder, port = tmp_path_factory.mktemp("wyoming"), free_port()
    silence = folder / "silence.wav"
    soundfile.write(silence, np.zeros(600 * RATE_HZ, np.int16), RATE_HZ)
    path = folder / "kwsd.yaml"
    path.write_text(f"wyoming: {{listen: 'tcp://127.0.0.1:{port}'}}\nrecognize: {{on_demand: [off]}}\n")
    with running("--config", path, "--source", silence, "--realtime") as kwsd:
        kwsd.wait_for_log("listening")
        yield port
        assert kwsd.words == []


def speech() -> bytes:
    samples, rate_hz = soundfile.read(DEMO, dtype="int16")
    assert rate_hz == RATE_HZ
    return samples.tobytes()


def chunks(audio: bytes, size: int = 2048) -> Iterator[Event]:
    for at in range(0, len(audio), size):
        yield AudioChunk(RATE_HZ, 2, 1, audio[at : at + size], timestamp=at * 1000 // (2 * RATE_HZ)).event()


def test_home_assistant_learns_what_there_is(daemon: int) -> None:
    async def ask() -> Info:
        async with AsyncTcpClient("127.0.0.1", daemon) as client:
            await client.write_event(Describe().event())
            event = await asyncio.wait_for(client.read_event(), 5)
            assert event is not None
            return Info.from_event(event)

    info = asyncio.run(ask())
    [program] = info.wake
    assert program.name == "kwsd" and program.installed and info.satellite is None
    assert {model.name for model in program.models} == set(demo_words()) - {"off"} | {"left", "right"} - {"off"}
    assert all(model.phrase == model.name and model.languages and model.installed for model in program.models)


async def first_detection(port: int, word: str, audio: bytes) -> Detection | None:
    """As Home Assistant does it: a connection for one attempt, which it closes at the word it waits for."""
    async with AsyncTcpClient("127.0.0.1", port) as client:
        await client.write_event(Detect(names=[word]).event())
        await client.write_event(AudioStart(RATE_HZ, 2, 1, timestamp=0).event())

        async def send() -> None:
            for event in chunks(audio):
                await client.write_event(event)
            await client.write_event(AudioStop().event())

        sending = asyncio.ensure_future(send())
        try:
            while (event := await asyncio.wait_for(client.read_event(), 60)) is not None:
                if Detection.is_type(event.type) and (found := Detection.from_event(event)).name == word:
                    return found
                if NotDetected.is_type(event.type):
                    return None
            return None
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await sending


def test_home_assistant_s_attempts_each_on_a_connection_of_its_own(daemon: int) -> None:
    audio = speech()
    first, second = demo_words()[:2]
    for word in (first, second, first):
        found = asyncio.run(first_detection(daemon, word, audio))
        assert found is not None and found.timestamp is not None and found.timestamp < 6000
    assert asyncio.run(first_detection(daemon, first, bytes(2 * RATE_HZ))) is None
    assert asyncio.run(first_detection(daemon, "off", audio[: 8 * RATE_HZ])) is None  # it would have to be armed


def test_two_satellites_at_once_that_stay_connected_and_start_afresh_after_each_word(daemon: int) -> None:
    audio = speech()
    wanted = demo_words()[0]

    async def satellite() -> list[str]:
        heard = []
        async with AsyncTcpClient("127.0.0.1", daemon) as client:
            for _ in range(2):
                await client.write_event(Detect(names=[wanted]).event())
                await client.write_event(AudioStart(RATE_HZ, 2, 1).event())
                for event in chunks(audio[: 3 * 2 * RATE_HZ], 6000):
                    await client.write_event(event)
                await client.write_event(AudioStop().event())
                event = await asyncio.wait_for(client.read_event(), 60)
                assert event is not None and Detection.is_type(event.type), event
                heard.append(Detection.from_event(event).name or "")
        return heard

    async def both() -> list[list[str]]:
        return await asyncio.gather(satellite(), satellite())

    assert asyncio.run(both()) == [[wanted] * 2] * 2


# The configuration, and docs/wyoming.md.


def test_the_page_s_service_file_announces_the_default_port() -> None:
    [text] = re.findall(r"```xml\n(.*?)```", (ROOT / "docs" / "wyoming.md").read_text(), re.DOTALL)
    group = ElementTree.fromstring(text)
    assert group.findtext("service/type") == "_wyoming._tcp"
    assert group.findtext("service/port") == str(WyomingSettings().listen.port)
    assert group.findtext("name")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("wyoming: {listen: '127.0.0.1:10400'}", "key 'listen': got '127.0.0.1:10400'; allowed: tcp://ADDRESS:PORT"),
        ("wyoming: {uri: 'tcp://127.0.0.1:1'}", "key 'uri': unknown"),
    ],
)
def test_faults_of_the_keys(text: str, fault: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config.read(text.encode(), "x.yaml")
    assert refused.value.faults[0].startswith(f"x.yaml:1: {fault}")


def test_it_is_off_until_asked_for() -> None:
    assert config.read(b"wyoming: {}", "x.yaml").servers == (WyomingSettings(),)
    assert str(WyomingSettings().listen) == "tcp://127.0.0.1:10400"
