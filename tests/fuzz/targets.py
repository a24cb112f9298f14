"""Every parser of bytes that others made, each as a function of these bytes that raises only where kwsd is wrong.

Two drivers feed them: Hypothesis in test_targets.py, in every test run, and atheris in `make fuzz` (__main__.py).
"""

import http.client
import os
import re
import socket
import struct
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from kwsd import config
from kwsd.audio.file import Decoder, FileSource, SoundFileDecoder
from kwsd.audio.pipe import PipeDecoder
from kwsd.audio.source import End
from kwsd.client import Connection
from kwsd.config.read import all_keys
from kwsd.daemon.control import Control
from kwsd.errors import ConfigError, InputError, KwsdError, ModelError
from kwsd.events import Detection, DetectionEvent, json_line
from kwsd.learn import examples
from kwsd.model import metadata
from kwsd.model.description import describe
from kwsd.model.tflite import cost, graph
from kwsd.model.tflite.flatbuffer import MalformedError
from kwsd.servers.wyoming.frames import Frame, FrameError, FrameReader
from kwsd.servers.wyoming.session import Session, SessionError
from kwsd.sinks.socket.protocol import (
    ERRORS_MAX,
    LINE_MAX_BYTES,
    QUEUE_MAX_BYTES,
    QUEUE_MAX_LINES,
    Conversation,
    Responder,
)
from kwsd.sinks.webhook import http_post as post
from kwsd.sinks.webhook.retry import moment_s, retry_after_s
from kwsd.sinks.webhook.spool import Spool
from kwsd.sinks.webhook.url import Url
from kwsd.validation import yaml as yaml_strict

ROOT = Path(__file__).resolve().parents[2]
CLIPS = ROOT / "tests" / "data" / "clips"
RATE_HZ = 16_000
FEATURES = 4  # of a model that learns
FED_BYTES = 60_000  # of one input: less than a pipe or a socket takes without a reader
SAMPLES_MAX = 50 * FED_BYTES  # of one input, at any rate that is not absurd


@dataclass(frozen=True)
class Target:
    """A parser.

    Attributes:
        run: feeds it; an exception is a finding.
        seeds: sound inputs to start from.
        words: what its language is made of, for atheris to put together.
    """

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    words: tuple[bytes, ...] = ()


def one_line(error: KwsdError) -> None:
    """What every refusal must be: lines of text that a terminal shows as such."""
    assert error.lines
    for line in error.lines:
        assert line.strip() and "\n" not in line, line


# Configuration, front ends, labels.


def run_config(data: bytes) -> None:
    """A configuration: settings, or every fault with its line."""
    try:
        config.read(data, "x.yaml")
    except ConfigError as error:
        one_line(error)
        for fault in error.faults:
            name, line, _ = fault.split(":", 2)
            assert name == "x.yaml" and int(line) >= 1, fault


def run_frontend(data: bytes) -> None:
    """A front end's file, as --frontend takes it."""
    try:
        describe(Path("x.tflite"), {}, labels=["a", "b"], frontend=_written("frontend.yaml", data))
    except (ConfigError, ModelError) as error:
        one_line(error)


def run_labels(data: bytes) -> None:
    """A labels file."""
    try:
        found = describe(Path("x.tflite"), {}, labels=_written("labels.txt", data), frontend=_frontend())
    except ModelError as error:
        one_line(error)
    else:
        assert found["labels"] and all(found["labels"])


# Models.


def run_model(data: bytes) -> None:
    """A .tflite file's structure, and what `kwsd info` counts in it."""
    try:
        found = graph.read(data)
    except MalformedError as error:
        assert str(error)
    else:
        assert cost.parameters(found) >= 0
        cost.multiply_adds(found)


def run_metadata(data: bytes) -> None:
    """The metadata in a model."""
    try:
        found = metadata.parse(data, "x.tflite")
    except ModelError as error:
        one_line(error)
    else:
        json_line(found)


def run_examples(data: bytes) -> None:
    """What a learned model remembers of its words; a bank of negatives is read the same way."""
    try:
        found = examples.unpack(data, FEATURES, "x.tflite")
    except ModelError as error:
        one_line(error)
    else:
        assert all(part.word.shape[1] == part.others.shape[1] == FEATURES for part in found.words.values())


# Recordings.


def run_pipe(data: bytes) -> None:
    """A pipe, raw or WAV; the first two bytes say in which pieces it comes and which channel is wanted."""
    if len(data) < 2:
        return
    piece, channel, data = 1 + data[0] * 16, data[1] & 3, data[2 : 2 + FED_BYTES]
    reader, writer = os.pipe()
    decoder = PipeDecoder("-", reader, RATE_HZ, 1 + channel, channel)
    source = FileSource("-", decoder, RATE_HZ, realtime=False, gain_db=20)
    try:
        with os.fdopen(writer, "wb", buffering=0) as speaker:
            for at in range(0, min(len(data), 200 * piece), piece):
                speaker.write(data[at : at + piece])
                source.read(0)
            speaker.write(data[200 * piece :])
        _drain(source)
    except InputError as error:
        one_line(error)
    finally:
        source.close()


def run_recording(data: bytes) -> None:
    """A WAV, FLAC or Ogg file, through libsndfile."""
    path = _written("recording", data)
    file = path.open("rb", buffering=0)
    try:
        decoder: Decoder = SoundFileDecoder(str(path), file, 0)
    except InputError as error:
        file.close()
        one_line(error)
        return
    source = FileSource("recording", decoder, RATE_HZ, realtime=False, gain_db=20)
    try:
        _drain(source)
    except InputError as error:
        one_line(error)
    finally:
        source.close()


def _drain(source: FileSource) -> None:
    """Reads to the end; each sample is a number in -1..1, and there are not endlessly many of them."""
    count = 0
    while not isinstance(item := source.read(5.0), End):
        assert item is not None, "it hangs"
        assert item.samples.dtype == np.float32
        assert np.all(np.abs(item.samples) <= 1), "a sample that is none"
        count += len(item.samples)
        if count > SAMPLES_MAX:  # a file of few bytes may well be long: FLAC packs silence
            return


# Socket and HTTP.


def run_requests(data: bytes) -> None:
    """What a client sends to the socket, in two pieces, a few lines a turn: bounded answers, each a line of JSON."""
    control = Control(lambda: ["go", "größer"], lambda: ["go"], lambda: None)
    hello = {"labels": ["_silence_", "go", "größer"]}
    responder = Responder(lambda: hello, lambda: {"state": "listening"}, dict, dict, control.ask)
    conversation = Conversation(responder)
    cut, turn = (data[0] * len(data) // 256, 1 + data[0] % 9) if data else (0, 1)
    for piece in (data[:cut], data[cut:]):
        conversation.receive(piece, turn)
        conversation.offer("detection", "go", b'{"label":"go"}\n')
        while conversation.behind:
            conversation.receive(b"", turn)
    lines = total = errors = 0
    while chunk := conversation.outgoing():
        assert chunk.endswith(b"\n") and len(chunk) < 8 * LINE_MAX_BYTES
        conversation.sent(len(chunk))
        lines, total = lines + 1, total + len(chunk)
        errors += chunk.startswith(b'{"type":"error"')
    assert lines <= QUEUE_MAX_LINES + 1 and total <= QUEUE_MAX_BYTES + LINE_MAX_BYTES
    assert errors <= ERRORS_MAX
    assert conversation.waiting == 0


def run_messages(data: bytes) -> None:
    """What a server sends to `kwsd watch`."""
    folder = _folder()
    path = folder / "server.sock"
    with socket.socket(socket.AF_UNIX) as server:
        path.unlink(missing_ok=True)
        server.bind(str(path))
        server.listen()
        peer = _Answering(server, data[:FED_BYTES])
        try:
            with Connection(str(path)) as connection:
                while (message := connection.receive(5.0)) is not None:
                    json_line(message)
        except TimeoutError:
            raise AssertionError("it hangs") from None
        except OSError as error:
            assert str(error) or error.strerror
        finally:
            peer.close()


class _Answering:
    """A server that has said all it will say by the time its client reads."""

    def __init__(self, server: socket.socket, data: bytes) -> None:
        import threading

        def answer() -> None:
            channel, _ = server.accept()
            with channel:
                channel.sendall(data)

        self._thread = threading.Thread(target=answer)
        self._thread.start()

    def close(self) -> None:
        self._thread.join()


def run_answer(data: bytes) -> None:
    """What a webhook's receiver answers."""
    with _answered_with(data[:FED_BYTES]):
        began_s = time.monotonic()
        try:
            answer = post.Poster(Url.parse("http://127.0.0.1/?s3cret")).post(b"{}", {}, 5.0)
        except post.PostError as error:
            assert str(error) and "\n" not in str(error) and "s3cret" not in str(error)
        else:
            assert 100 <= answer.status <= 999
            assert retry_after_s(answer.retry_after, 1.8e9) >= 0
        assert time.monotonic() - began_s < 4, "it hangs"


@contextmanager
def _answered_with(data: bytes) -> Iterator[None]:
    """Connections of webhooks lead to one end of a pair of sockets, whose other end has said ``data``."""
    ours, theirs = socket.socketpair()

    def connect(connection: post._Connection) -> None:
        connection._hold(ours)
        ours.settimeout(5.0)
        connection.sock = ours

    original = post._Connection.connect
    post._Connection.connect = connect  # type: ignore[method-assign]
    try:
        with theirs:
            theirs.sendall(data)
            theirs.shutdown(socket.SHUT_WR)
            yield
    finally:
        post._Connection.connect = original  # type: ignore[method-assign]
        ours.close()


def run_retry_after(data: bytes) -> None:
    """The Retry-After header of a webhook's receiver, and its Date."""
    value = data.decode("iso-8859-1")
    assert 0 <= retry_after_s(value, moment_s(value) or 1.8e9) < float("inf")


def run_url(data: bytes) -> None:
    """The address of a webhook: refused without showing it, or taken, and then fit to be looked up and requested."""
    text = os.fsdecode(data)
    try:
        url = Url.parse(text)
    except ValueError as error:
        assert str(error) and not any(word in str(error) for word in re.findall(r"[0-9]{4,}", text)), error
        return
    assert 0 < url.port < 65536
    url.host.encode("idna")  # what socket does before it asks
    connection = http.client.HTTPConnection(url.host, url.port)
    connection.sock = mock = _Sent()  # type: ignore[assignment]
    connection.request("POST", url.target, b"", {"Authorization": url.authorization or "none"})
    assert mock.data.count(b"\r\n") == mock.data.count(b"\n") == 6, mock.data


def run_spool(data: bytes) -> None:
    """The file of a webhook's spool: taken, as far as it is sound, or set aside; and then it works again."""
    path = _written("spool.db", data)
    for suffix in ("-journal", ".damaged", ".damaged-journal"):
        (_folder() / f"spool.db{suffix}").unlink(missing_ok=True)
    spool = Spool(str(path))
    try:
        events, damaged = spool.open()
    except ConfigError as error:
        one_line(error)
        assert "somebody else" in str(error)
        return
    assert damaged >= 0
    for event in events:
        assert abs(event.heard_s) < float("inf") and json_line(event.to_dict())
    spool.mirror({_EVENT.id: _EVENT})
    assert spool.ids == {_EVENT.id}
    spool.close()


_EVENT = DetectionEvent("5f2c9a1e7b3d-1", 1, "2026-11-21T09:30:00.125Z", "go", 0.9, 1, None, "m", "d", heard_s=0)


def _spools() -> list[bytes]:
    path = _written("seed.db", b"")
    spool = Spool(str(path))
    spool.open()
    spool.mirror({str(seq): replace(_EVENT, id=str(seq)) for seq in range(20)})
    spool.close()
    return [path.read_bytes(), b""]


class _Sent:
    """A connection that keeps what is sent."""

    data = b""

    def sendall(self, data: bytes) -> None:
        self.data += data

    def close(self) -> None: ...


# Inputs to start from.


_scratch = tempfile.TemporaryDirectory(prefix="kwsd-fuzz-")


def _folder() -> Path:
    return Path(_scratch.name)


def _written(name: str, data: bytes) -> Path:
    path = _folder() / name
    path.write_bytes(data)
    return path


@cache
def _frontend() -> dict[str, object]:
    return yaml_strict.load_mapping(str(_written("good.yaml", FRONTEND)))[0]


FRONTEND = b"""\
sample_rate_hz: 16000
clip_ms: 1000
scores: probabilities
frontend: {type: mfcc, window_ms: 40, stride_ms: 20, lower_hz: 20, upper_hz: 7600, mel_bins: 40, coefficients: 10}
recognize: {mode: rearm, thresholds: {a: 0.9}}
"""
REQUESTS = b"""\
\x80{"ping":1}
{"get":"status"}
{"subscribe":{"labels":["go"],"types":["detection","scores"]}}
{"subscribe":{}}
nonsense
"""
MESSAGES = b"""\
{"type":"hello","protocol":1,"version":"1","run":"5f2c9a1e7b3d","model":"m","labels":["go"],"state":"listening"}
{"type":"detection","id":"5f2c9a1e7b3d-1","seq":1,"label":"go","score":0.9}
"""
ANSWERS = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok",
    b"HTTP/1.1 503 No\r\nRetry-After: 120\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 102 Processing\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nDate: Fri, 31 Dec 1999 23:59:59 GMT\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 429 Slow\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n\r\n",
)


def _models() -> list[bytes]:
    return [path.read_bytes() for path in sorted((ROOT / "tests" / "fixtures" / "models").glob("*.tflite"))]


def _metadata() -> list[bytes]:
    return [bytes(found.metadata["KWSD"]) for found in map(graph.read, _models()) if "KWSD" in found.metadata]


def _examples() -> list[bytes]:
    part = np.linspace(0, 1, 6 * FEATURES).reshape(6, FEATURES)
    words = {"lumos": examples.Examples(part, part[:2]), "größer": examples.Examples(part[:1], part[:0])}
    return [examples.pack(examples.Memory("tiny", "0" * 64, memory)) for memory in ({}, words)]


def _configs() -> list[bytes]:
    return [
        (ROOT / "examples" / "kwsd.yaml").read_bytes(),
        b"only: [stop, go]\nsinks:\n- {type: stdout}\n",
        b"sinks:\n- {type: exec, commands: {stop: [/bin/true, '5'], '*': [sh]}, at_once: 2}\n"
        b"- {type: clips, folder: /tmp/x, peaks: true, before_ms: 1000}\n",
    ]


def _clips() -> list[bytes]:
    return [path.read_bytes() for path in sorted(CLIPS.glob("*/*.flac"))[:4]]


@cache
def _wavs() -> tuple[bytes, ...]:
    """A tenth of a second in each way of writing a WAV, two channels."""
    import io

    import soundfile

    noise = np.random.default_rng(7).uniform(-0.9, 0.9, (160, 2))
    written = []
    for container, kind in [
        ("WAV", "PCM_U8"),
        ("WAV", "PCM_16"),
        ("WAVEX", "PCM_24"),
        ("RF64", "FLOAT"),
        ("WAV", "DOUBLE"),
    ]:
        with io.BytesIO() as file:
            soundfile.write(file, noise, 22_050, kind, format=container)
            written.append(file.getvalue())
    return tuple(written)


@cache
def _oggs() -> tuple[bytes, ...]:
    import io

    import soundfile

    noise = np.random.default_rng(7).uniform(-0.5, 0.5, 2400)
    written = []
    for kind in ("VORBIS", "OPUS"):
        with io.BytesIO() as file:
            soundfile.write(file, noise, 48_000, kind, format="OGG")
            written.append(file.getvalue())
    return (*written, written[0] + written[1], written[0] + written[0])


_KEYS = tuple(key.name.encode() for key in all_keys())
_YAML = (
    b": ",
    b"- ",
    b"&a ",
    b"*a",
    b"<<: ",
    b"!!str ",
    b"---\n",
    b"...\n",
    b"null",
    b"true",
    b"[",
    b"{",
    b"1e400",
    b".nan",
)
_JSON = (b'{"', b'":', b"[[", b"null", b"true", b"1e400", b'"\\ud800"', b"NaN", b"\\u0000")


class _Deaf:
    """A pipeline that hears nothing, but that samples are what they have to be."""

    sample_rate_hz, clip_samples = RATE_HZ, 160

    def __init__(self) -> None:
        self.model = self

    def push(self, samples: np.ndarray) -> list[Detection]:
        assert samples.dtype == np.float32 and samples.ndim == 1 and np.isfinite(samples).all()
        return []


WYOMING = b"".join(
    frame.encode()
    for frame in (
        Frame("describe"),
        Frame("detect", {"names": ["stop"]}),
        Frame("audio-start", {"rate": RATE_HZ, "width": 2, "channels": 1}),
        Frame("audio-chunk", {"rate": 48_000, "width": 2, "channels": 2, "timestamp": 1}, bytes(64)),
        Frame("audio-stop"),
    )
)


def run_wyoming(data: bytes) -> None:
    """What a client of the Wyoming server sends; the first byte says in pieces of which size."""
    size, sent = 1 + int.from_bytes(data[:1]), data[1:]
    reader, session = FrameReader(), Session(["stop"], "m", _Deaf)
    try:
        for at in range(0, len(sent), size):
            for frame in reader.push(sent[at : at + size]):
                for answer in session.receive(frame):
                    assert list(FrameReader().push(answer.encode())) == [answer]
    except (FrameError, SessionError) as error:
        assert str(error)


TARGETS = {
    "config": Target(run_config, _configs, (*_KEYS, *_YAML, b"webhook", b"socket", b"stdout", b"http://u:p@h/?q")),
    "frontend": Target(run_frontend, lambda: [FRONTEND], (*_YAML, b"micro", b"log_mel", b"psf_mfcc", b"waveform")),
    "labels": Target(run_labels, lambda: [b"_silence_\n_unknown_\nyes\nno\n", "größer\r\n".encode("utf-8-sig")]),
    "model": Target(run_model, _models, (b"TFL3", b"PK\3\4", b"PK\5\6", struct.pack("<i", -4))),
    "metadata": Target(run_metadata, _metadata, (*_JSON, b'"frontend"', b'"recognize"', b'"thresholds"', b'"labels"')),
    "examples": Target(run_examples, _examples, (b"PK\3\4", b"PK\1\2", b"\x93NUMPY", b"'descr': '|u1'", b"'shape': (")),
    "pipe": Target(
        run_pipe,
        lambda: [bytes([way, way & 1]) + wav for way in (0, 255) for wav in _wavs()] + [b"\x05\x01" + bytes(99)],
        (b"RIFF", b"RF64", b"WAVE", b"fmt ", b"data", b"LIST", b"\xff\xff\xff\xff", b"\xfe\xff"),
    ),
    "recording": Target(
        run_recording,
        lambda: [*_wavs(), *_oggs(), *_clips()],
        (b"RIFF", b"RIFX", b"RF64", b"fLaC", b"OggS", b"OpusHead", b"\x01vorbis", b"WAVE", b"fmt ", b"data", b"fact"),
    ),
    "requests": Target(run_requests, lambda: [REQUESTS], (*_JSON, b'"subscribe"', b'"ping"', b'"get"', b'"status"')),
    "wyoming": Target(
        run_wyoming,
        lambda: [bytes([size]) + WYOMING for size in (0, 40, 255)],
        (*_JSON, b'"audio-start"', b'"audio-chunk"', b'"payload_length"', b'"data_length"', b'"rate"', b"\n"),
    ),
    "messages": Target(run_messages, lambda: [MESSAGES], (*_JSON, b'"hello"', b'"protocol"', b'"labels"')),
    "answer": Target(
        run_answer,
        lambda: list(ANSWERS),
        (b"HTTP/1.1 ", b"\r\n", b"Transfer-Encoding: chunked", b"Content-Length: ", b"Retry-After: ", b"-1", b"100 "),
    ),
    "url": Target(
        run_url,
        lambda: [
            b"https://u:p@example.org:8443/h?q=1",
            b"http://[fe80::1%25lo]:80/",
            "http://bücher.example/ü".encode(),
        ],
        (b"http://", b"https://", b"[::1]", b"..", b"@", b"%25", b"xn--", b"127.0.0.1", b"#", b"?"),
    ),
    "spool": Target(run_spool, _spools, (b"SQLite format 3\0", b"CREATE TABLE", b"kwsd", b'"time":', b'"type":')),
    "retry-after": Target(
        run_retry_after,
        lambda: [b"120", b"Fri, 31 Dec 1999 23:59:59 GMT", b"Fri, 31 Dec 9999 23:59:59 -0100"],
        (b"GMT", b"+9999", b"-9999", b"Jan", b"99999999999"),
    ),
}


def check(name: str, data: bytes) -> None:
    """Runs one input through a target; a warning is a finding, too."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TARGETS[name].run(data)
