"""The HTTP server: what it answers, to whom, and what a slow, rude or hostile client costs."""

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kwsd import config
from kwsd.cli.check_config import sink_faults, to_yaml
from kwsd.errors import ConfigError
from kwsd.events import DetectionEvent, ScoresEvent
from kwsd.servers import tcp
from kwsd.servers.http.server import PAGES_MAX, HttpServer
from kwsd.servers.http.settings import HttpSettings
from kwsd.servers.http.stream import QUEUE_MAX, Message, Stream
from kwsd.servers.settings import Address
from tests.helpers.broker import LIMIT_S, wait_until
from tests.servers.conftest import LABELS, Daemon, Served

Serve = Callable[..., Served]
TOKEN = "s3cret-0123456789abcdef"


def heard(seq: int = 1, label: str = "stop", latency_ms: float | None = 31.4) -> DetectionEvent:
    return DetectionEvent(f"r-{seq}", seq, "2026-11-21T09:30:00.125Z", label, 0.9, 52340, latency_ms, "m", "d", 0.0)


@pytest.fixture
def token_file(tmp_path: Path) -> str:
    path = tmp_path / "token"
    path.write_text(f" {TOKEN}\n")
    return str(path)


class Reader:
    """An open page's stream."""

    def __init__(self, served: Served, **headers: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", served.port), LIMIT_S)
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        self.socket.sendall(f"GET /events HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode())
        self._lines = self.socket.makefile("rb")
        self.status = int(self._lines.readline().split()[1])
        while self._lines.readline().strip():
            pass

    def read(self) -> dict[str, Any]:
        while not (line := self._lines.readline()).startswith(b"data: "):
            assert line, "the stream has ended"
        return json.loads(line.removeprefix(b"data: "))  # type: ignore[no-any-return]

    def ended(self) -> bool:
        return self._lines.read().strip() == b""

    def close(self) -> None:
        self._lines.close()
        self.socket.close()


@contextlib.contextmanager
def page(served: Served, **headers: str) -> Iterator[Reader]:
    reader = Reader(served, **headers)
    try:
        assert reader.status == 200
        yield reader
    finally:
        reader.close()


# What it answers.


def test_health_is_the_snapshot_with_a_code_that_says_whether_it_hears(serve: Serve) -> None:
    served = serve()
    for state, status in [("listening", 200), ("degraded", 200), ("paused", 200), ("waiting", 503), ("stalled", 503)]:
        served.daemon.state = state
        answer = served.get("/health")
        assert answer.status == status
        assert json.loads(answer.body) == {"type": "snapshot", **served.daemon.snapshot()}
        assert answer.headers["Content-Type"] == "application/json"


def test_the_page_is_three_files_and_asks_for_nothing_from_elsewhere(serve: Serve) -> None:
    served = serve()
    for path in ("/", "/page.css", "/page.js", "/login"):
        answer = served.get(path)
        assert answer.status == 200
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert b"http://" not in answer.body and b"https://" not in answer.body
        assert b"style=" not in answer.body and b"onclick" not in answer.body and b"innerHTML" not in answer.body
    assert served.get("/nothing").status == 404
    assert served.get("/../settings.py").status == 404
    assert served.ask("HEAD", "/").body == b""
    assert served.ask("DELETE", "/").status == 501


def test_an_open_page_is_told_everything_and_scores_are_wanted_only_then(serve: Serve) -> None:
    served = serve()
    assert not served.bus.wants("scores")
    with page(served) as reader:
        hello = reader.read()
        assert (hello["type"], hello["labels"]) == ("hello", LABELS)
        assert served.bus.wants("scores") and served.server.clients == 1
        served.bus.publish(ScoresEvent(52340, {"stop": 0.25}, -42.0))
        served.bus.publish(heard())
        scores = {"type": "scores", "audio_ms": 52340, "scores": {"stop": 0.25}, "level_dbfs": -42.0}
        assert reader.read() == {**scores, "listener": "default"}
        assert reader.read() == heard().to_dict()
    wait_until(lambda: served.bus.publish(heard()) or served.server.clients == 0, "the closed page is noticed")
    assert not served.bus.wants("scores")


def test_an_open_page_is_sent_the_frames_that_the_model_is_given(serve: Serve) -> None:
    served = serve()
    rows = np.array([[-1.5, 0.25], [2.0, 3.333]], np.float32)
    with page(served) as reader:
        reader.read()
        served.bus.publish(ScoresEvent(52340, {"stop": 0.25}, -42.0, rows))
        assert reader.read()["type"] == "scores"
        assert reader.read() == {"type": "frames", "rows": [[-150, 25], [200, 333]], "listener": "default"}


def test_control_is_carried_out_and_answered(serve: Serve) -> None:
    served = serve()
    json_type = {"Content_Type": "application/json; charset=utf-8"}
    answer = served.ask("POST", "/control", b'{"pause":{"for_s":60}}', **json_type)
    assert (answer.status, json.loads(answer.body)) == (200, {"type": "done", "did": "pause"})
    assert served.daemon.asked == [{"pause": {"for_s": 60}}]
    for body in (b"", b"pause", b"[1]", b"[" * 4000, b"\xff"):
        assert served.ask("POST", "/control", body, **json_type).status == 400
    assert served.ask("POST", "/control", b'{"x":1}', **json_type).status == 400
    assert served.ask("POST", "/control", b'{"resume":{}}', Content_Type="text/plain").status == 415
    assert served.ask("POST", "/control", b"x" * 5000, **json_type).status == 413
    assert served.daemon.asked[1:] == [{"x": 1}]


def test_without_the_page_there_is_neither_stream_nor_control(serve: Serve) -> None:
    served = serve(page=False)
    paths = ("/", "/events", "/page.js", "/login")
    assert [served.get(path).status for path in paths] == [404] * 4
    assert served.ask("POST", "/control", b'{"pause":{}}', Content_Type="application/json").status == 404
    assert served.get("/metrics").status == 200
    assert serve(metrics=False).get("/metrics").status == 404


# To whom.


@pytest.mark.parametrize("host", ["localhost", "localhost:8077", "127.0.0.1", "127.1.2.3:1", "[::1]:8077", "LOCALHOST"])
def test_it_answers_by_the_names_of_this_machine(serve: Serve, host: str) -> None:
    assert serve().get("/health", Host=host).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "192.168.1.2"},
        {"Host": ""},
        {"Host": "localhost", "Origin": "http://evil.example"},
        {"Host": "localhost", "Origin": "null"},
        {"Host": "localhost:8077", "Origin": "http://localhost:8078"},
        {"Host": "localhost", "Sec_Fetch_Site": "cross-site"},
        {"Host": "localhost", "Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"},
    ],
)
def test_another_site_s_page_gets_nothing_and_may_do_nothing(serve: Serve, headers: dict[str, str]) -> None:
    served = serve()
    for path in ("/", "/health", "/events", "/metrics"):
        assert served.get(path, **headers).status == 403
    body, kind = b'{"pause":{}}', {"Content_Type": "application/json"}
    assert served.ask("POST", "/control", body, **kind, **headers).status == 403
    assert served.daemon.asked == []


def test_a_link_from_another_page_may_be_followed(serve: Serve) -> None:
    headers = {"Host": "localhost", "Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    assert serve().get("/", **headers).status == 200


def test_with_a_token_nothing_is_told_without_it(serve: Serve, token_file: str, caplog: Any) -> None:
    served = serve(token_file=token_file)
    for path in ("/health", "/metrics", "/events", "/page.js"):
        assert served.get(path).status == 401
    assert served.ask("POST", "/control", b'{"pause":{}}', Content_Type="application/json").status == 401
    asked = served.get("/", Host="kwsd.example")
    assert asked.status == 401 and b'type="password"' in asked.body
    for offered in ("", "wrong", TOKEN[:-1], TOKEN + "x", "größer"):
        body = f"token={offered}".encode()
        assert served.ask("POST", "/login", body).status == 401
    assert served.ask("POST", "/login", b"a&b=1&c&d&e&f;g=%ff&token").status == 401
    answer = served.ask("POST", "/login", f"token={TOKEN}".encode(), Origin="http://h:1", Host="h:1")
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and TOKEN not in cookie
    shown = cookie.partition(";")[0]
    assert served.get("/health", Cookie=f"other=1; {shown}").status == 200
    assert served.get("/health", Authorization=f"Bearer {TOKEN}").status == 200
    for wrong in (f"{shown}x", "kwsd=", "kwsd", ";;", "kwsd=\x7f", 'kwsd="'):
        assert served.get("/health", Cookie=wrong).status == 401
    assert served.get("/health", Authorization=f"Basic {TOKEN}").status == 401
    assert served.ask("POST", "/login", f"token={TOKEN}".encode(), Origin="http://evil.example").status == 403
    with page(served, Cookie=shown) as reader:
        assert reader.read()["type"] == "hello"
    assert "a wrong token" in caplog.text and TOKEN not in caplog.text


def test_a_reload_that_changes_the_token_asks_everybody_again(serve: Serve, token_file: str, tmp_path: Path) -> None:
    served = serve()
    with page(served) as reader:
        reader.read()
        changed = HttpSettings(listen=Address("127.0.0.1", served.port), token_file=token_file)
        served.bus.replace([HttpServer(changed, served.daemon.services)])
        assert served.bus.sinks == (served.server,)
        assert reader.ended()
    assert served.get("/health").status == 401
    assert served.get("/metrics", Authorization=f"Bearer {TOKEN}").status == 200


# What a client costs.


def test_a_page_that_does_not_read_costs_the_others_nothing(serve: Serve) -> None:
    served, count = serve(), 20_000
    with page(served) as deaf, page(served) as reader:
        deaf.read()
        reader.read()
        for seq in range(1, count + 1):
            served.bus.publish(heard(seq))
            if seq % 100 == 0:
                assert [reader.read()["seq"] for _ in range(100)] == list(range(seq - 99, seq + 1))
        assert served.server.counters["dropped"] > 0
        assert served.get("/health").status == 200


def test_the_oldest_go_and_the_page_is_told_how_many() -> None:
    stream = Stream()
    for number in range(QUEUE_MAX + 3):
        stream.offer(Message(heard(number)))
    lines = (stream.take(0) or b"").split(b"\n\n")
    assert lines[0] == b'data: {"type":"dropped","count":3}'
    assert json.loads(lines[1].removeprefix(b"data: "))["seq"] == 3
    assert (stream.sent, stream.dropped, stream.waiting) == (QUEUE_MAX, 3, 0)
    assert stream.take(0) == b""
    stream.close()
    assert stream.take(0) is None


def is_well(served: Served) -> bool:
    with contextlib.suppress(OSError):  # a connection too many is closed before its request is read
        return served.get("/health").status == 200
    return False


def test_connections_are_few_and_the_next_is_told(serve: Serve) -> None:
    served = serve()
    with contextlib.ExitStack() as stack:
        for _ in range(HttpServer.connections_max):
            stack.enter_context(socket.create_connection(("127.0.0.1", served.port), LIMIT_S))
        with socket.create_connection(("127.0.0.1", served.port), LIMIT_S) as further:
            assert further.recv(100).startswith(b"HTTP/1.1 503 ")
    wait_until(lambda: is_well(served), "there is room again")


def test_pages_leave_room_for_scrapers(serve: Serve) -> None:
    served = serve()
    with contextlib.ExitStack() as stack:
        for _ in range(PAGES_MAX):
            stack.enter_context(page(served)).read()
        assert served.get("/events").status == 503
        assert served.get("/metrics").status == 200


@pytest.mark.parametrize(
    "beginning", [b"", b"GET / HT", b"POST /control HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"]
)
def test_a_request_that_drips_is_ended_as_a_whole(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, beginning: bytes
) -> None:
    monkeypatch.setattr(HttpServer, "limit_s", 0.5)
    served = serve()
    with socket.create_connection(("127.0.0.1", served.port), LIMIT_S) as slow:
        slow.sendall(beginning)
        began_s = time.monotonic()
        with contextlib.suppress(OSError):
            while True:
                slow.settimeout(0.1)
                with contextlib.suppress(TimeoutError):
                    if not slow.recv(1000):
                        break
                slow.sendall(b" ")
                assert time.monotonic() < began_s + LIMIT_S
    wait_until(lambda: not served.server._deadlines, "it is gone")


def test_the_end_waits_for_nobody(serve: Serve) -> None:
    served = serve()
    with page(served) as reader, socket.create_connection(("127.0.0.1", served.port), LIMIT_S):
        reader.read()
        began_s = time.monotonic()
        served.bus.stop()
        assert time.monotonic() - began_s < 1
        assert reader.ended()


def test_a_fault_in_answering_ends_that_connection_alone(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    served = serve()
    with monkeypatch.context() as patched:
        patched.setattr(HttpServer, "serve", lambda *_: 1 // 0)
        with pytest.raises(OSError):
            served.get("/health")
    wait_until(lambda: not served.server._deadlines, "it is gone")
    assert "http: 127.0.0.1: ZeroDivisionError: " in caplog.text
    assert served.get("/health").status == 200


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.builds(
            lambda method, path, headers, body: b" ".join([method, path, b"HTTP/1.1\r\n"]) + headers + b"\r\n" + body,
            st.sampled_from([b"GET", b"POST", b"HEAD", b"PUT"]),
            st.sampled_from([b"/", b"/health", b"/control", b"/login", b"*", b"/%00", b"http://x/"]),
            st.lists(
                st.sampled_from(
                    [
                        b"Host: localhost\r\n",
                        b"Content-Length: -1\r\n",
                        b"Content-Length: 99999999999999999999\r\n",
                        b"Content-Length: \xb2\r\n",
                        b"Transfer-Encoding: chunked\r\n",
                        b"Origin: \xff\r\n",
                        b"Cookie: kwsd=\xff; a\r\n",
                        b"Content-Type: application/json\r\n",
                        b"Expect: 100-continue\r\n",
                        b"no header\r\n",
                    ]
                ),
                max_size=5,
            ).map(b"".join),
            st.binary(max_size=50),
        ),
    )
)
def test_whatever_is_sent_is_answered_or_ended_and_harms_nothing(sent: bytes) -> None:
    answer = b""
    with patch.object(tcp.log, "error") as fault, contextlib.closing(Served()) as served:
        with socket.create_connection(("127.0.0.1", served.port), LIMIT_S) as client:
            client.settimeout(LIMIT_S)
            with contextlib.suppress(OSError):
                client.sendall(sent)
                client.shutdown(socket.SHUT_WR)
                while chunk := client.recv(65_536):
                    answer += chunk
        wait_until(lambda: not served.server._deadlines, "it is gone")
        assert served.daemon.asked == []
        assert b"Traceback" not in answer
        fault.assert_not_called()


# The configuration.


def test_it_is_off_until_asked_for_and_null_is_off() -> None:
    assert config.read(b"model: default", "x.yaml").servers == ()
    assert config.read(b"http: null", "x.yaml").servers == ()
    assert config.read(b"http: {}", "x.yaml").servers == (HttpSettings(),)
    assert str(HttpSettings().listen) == "127.0.0.1:8077"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("http: 8077", "key 'http': got 8077; allowed: a mapping (key: value)"),
        ("http: {listen: 8077}", "key 'listen': got 8077; allowed: ADDRESS:PORT, with an IP address"),
        ("http: {listen: '127.0.0.1:0'}", "key 'listen': there is no port 0"),
        ("http: {listen: '999.0.0.1:80'}", "key 'listen': "),
        ("http: {listen: 'tcp://127.0.0.1:80'}", "key 'listen': got"),
        (
            "http: {listen: '0.0.0.0:8077'}",
            "key 'listen': got 0.0.0.0:8077, which other machines can reach; this requires token_file",
        ),
        ("http: {listen: '[::]:8077'}", "key 'listen': got [::]:8077, which other machines can reach"),
        ("http: {pages: true}", "key 'pages': unknown; the nearest is 'page'"),
    ],
)
def test_faults_of_the_keys(text: str, fault: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config.read(text.encode(), "x.yaml")
    [line] = refused.value.faults
    assert line.startswith(f"x.yaml:1: {fault}")


def test_check_config_finds_a_token_that_cannot_be_had_and_shows_none(tmp_path: Path, token_file: str) -> None:
    read = config.read(f"http: {{listen: '[::1]:80', token_file: {token_file}}}".encode(), "x.yaml")
    assert sink_faults(read) == []
    shown = to_yaml(read)
    assert TOKEN not in shown
    assert config.read(shown.encode(), "x.yaml").servers == read.servers
    Path(token_file).write_text("short")
    [fault] = sink_faults(read)
    assert fault.startswith("x.yaml:1: key 'token_file': http: token_file") and "shorter than 16 characters" in fault
    assert "short\n" not in fault


def test_a_reload_that_needs_a_port_of_kwsd_s_own_is_told_so_and_the_server_goes_on(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    served = serve()
    token = tmp_path / "token"
    token.write_text(TOKEN)
    wider = HttpSettings(listen=Address("0.0.0.0", served.port), token_file=str(token))
    why = rf"http: 0\.0\.0\.0:{served.port}: kwsd itself listens at 127\.0\.0\.1:{served.port} \(http\)\. Restart kwsd"
    with pytest.raises(ConfigError, match=why):
        served.bus.replace([HttpServer(wider, served.daemon.services)])
    assert served.get("/metrics").status == 200


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = HttpServer(HttpSettings(listen=Address("127.0.0.1", taken.getsockname()[1])), Daemon().services)
        with pytest.raises(ConfigError, match=r": Address already in use\. Choose another"):
            server.start()
