"""Webhooks against a real server: what is sent, what is tried again, what is given up, and how long anything takes."""

import base64
import contextlib
import hashlib
import hmac
import logging
import os
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from kwsd import __version__
from kwsd.errors import ConfigError
from kwsd.events import encode
from kwsd.sinks.webhook.retry import backoff_s, retry_after_s
from kwsd.sinks.webhook.settings import WebhookSettings
from kwsd.sinks.webhook.signing import read_key, sign
from kwsd.sinks.webhook.sink import WebhookSink
from kwsd.sinks.webhook.url import Url
from tests.sinks.conftest import is_running
from tests.sinks.http_receiver import Receiver, detection, wait_until


@contextlib.contextmanager
def running(url: str, environ: dict[str, str] | None = None, **settings: object) -> Iterator[WebhookSink]:
    """A sink that is started and, in the end, stopped."""
    sink = WebhookSink(WebhookSettings(url=Url.parse(url), **settings), environ or {})  # type: ignore[arg-type]
    sink.start()
    try:
        yield sink
    finally:
        sink.stop()


def settled(sink: WebhookSink) -> dict[str, int]:
    """The counters once nothing waits any more."""
    assert sink.drain(time.monotonic() + 20)
    return sink.counters


def test_the_event_is_posted_as_it_is():
    """The body is the event's line without its end, and nothing is signed without a secret."""
    event = detection()
    with Receiver() as receiver, running(receiver.url) as sink:
        sink.put(event)
        assert settled(sink) == {"queued": 0, "sent": 1, "dropped": 0, "retried": 0}
    (request,) = receiver.requests
    assert request.body.decode() == encode(event.to_dict())
    assert request.path == "/hook"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["User-Agent"] == f"kwsd/{__version__}"
    assert not [name for name in request.headers if name.lower().startswith("webhook-")]


def test_with_a_secret_the_three_headers_are_those_of_standard_webhooks():
    key = b"a key of some bytes"
    secret = f" whsec_{base64.b64encode(key).decode()}\n"
    with Receiver() as receiver, running(receiver.url, {"HOOK": secret}, secret_env="HOOK") as sink:
        sink.put(detection(17))
        settled(sink)
    (request,) = receiver.requests
    assert request.headers["webhook-id"] == "5f2c9a1e7b3d-17"
    timestamp = request.headers["webhook-timestamp"]
    assert abs(int(timestamp) - time.time()) < 60
    signed = f"5f2c9a1e7b3d-17.{timestamp}.".encode() + request.body
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert request.headers["webhook-signature"] == f"v1,{wanted}"


def test_the_specifications_own_vector(tmp_path):
    """The example of the Standard Webhooks specification's reference libraries."""
    file = tmp_path / "secret"
    file.write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
    key = read_key(str(file), None, {})
    body = b'{"test": 2432232314}'
    signature = sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("plain text", b"plain text"),
        ("\t plain text \r\n", b"plain text"),
        ("Zürich", "Zürich".encode()),
        ("whsec_YWJj", b"abc"),
        ("whsec_YWJjZA", b"abcd"),
        ("WHSEC_YWJj", b"WHSEC_YWJj"),
    ],
)
def test_secrets_are_base64_after_whsec_and_else_taken_as_they_are(text, key):
    assert read_key(None, "S", {"S": text}) == key


def _empty(path):
    path.write_text(" \n")


def _long(path):
    path.write_text("x" * 100_000)


def _no_base64(path):
    path.write_text("whsec_***s3cret***")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: None, "No such file"),
        (_empty, "empty"),
        (_long, "longer"),
        (_no_base64, "not base64"),
        (lambda path: path.mkdir(), "directory"),
        (os.mkfifo, "empty"),
    ],
    ids=["missing", "empty", "long", "no base64", "folder", "pipe without a writer"],
)
def test_a_secret_file_that_holds_none_is_refused_at_once(tmp_path, make, why):
    path = tmp_path / "secret"
    make(path)
    with pytest.raises(ConfigError, match=why) as caught:
        WebhookSink(WebhookSettings(url=Url.parse("http://h"), secret_file=str(path)))
    assert caught.value.exit_code == 78
    assert str(path) in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("environ", [{}, {"S": ""}, {"S": "whsec_"}])
def test_a_secret_variable_that_holds_none_is_refused(environ):
    with pytest.raises(ConfigError, match="secret_env S"):
        WebhookSink(WebhookSettings(url=Url.parse("http://h"), secret_env="S"), environ)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_delivered(status):
    with Receiver([status]) as receiver, running(receiver.url) as sink:
        sink.put(detection())
        assert settled(sink)["sent"] == 1
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_a_passing_trouble_is_tried_again(status):
    with Receiver([status]) as receiver, running(receiver.url) as sink:
        sink.put(detection())
        assert settled(sink) == {"queued": 0, "sent": 1, "dropped": 0, "retried": 1}
    first, second = receiver.requests
    assert first.body == second.body


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 400, 401, 404, 413, 422])
def test_a_refusal_is_counted_and_not_tried_again_nor_followed(status):
    with Receiver() as elsewhere:
        answer = (status, {"Location": elsewhere.url})
        with Receiver([answer]) as receiver, running(receiver.url) as sink:
            sink.put(detection(1))
            sink.put(detection(2))
            assert settled(sink) == {"queued": 0, "sent": 1, "dropped": 1, "retried": 0}
        assert len(receiver.requests) == 2
        assert not elsewhere.requests


def test_410_ends_the_hook_for_this_run():
    with Receiver([410]) as receiver, running(receiver.url) as sink:
        sink.put(detection(1))
        settled(sink)
        sink.put(detection(2))
        assert settled(sink) == {"queued": 0, "sent": 0, "dropped": 2, "retried": 0}
    assert len(receiver.requests) == 1


def test_retry_after_is_waited_for():
    with Receiver([(503, {"Retry-After": "1"})]) as receiver, running(receiver.url) as sink:
        sink.put(detection())
        assert settled(sink)["sent"] == 1
    first, second = receiver.requests
    assert second.arrived_s - first.arrived_s >= 0.99


def test_a_retry_after_that_outlives_the_event_drops_it_without_another_attempt():
    with Receiver([(429, {"Retry-After": "3600"})]) as receiver, running(receiver.url) as sink:
        sink.put(detection())
        assert settled(sink) == {"queued": 0, "sent": 0, "dropped": 1, "retried": 0}
    assert len(receiver.requests) == 1


def test_the_order_is_kept_through_trouble():
    with Receiver([503, 200, 500, 429]) as receiver, running(receiver.url, {"S": "s"}, secret_env="S") as sink:
        for seq in (1, 2, 3):
            sink.put(detection(seq))
        assert settled(sink) == {"queued": 0, "sent": 3, "dropped": 0, "retried": 3}
    assert [id[-1] for id in receiver.ids] == list("112223")


def test_a_server_that_comes_up_late_still_hears_it():
    with Receiver() as receiver:
        port = receiver.port
    with running(f"http://127.0.0.1:{port}/hook", max_age_s=60) as sink:
        sink.put(detection())
        wait_until(lambda: sink.counters["retried"] >= 1)
        with Receiver(port=port) as receiver:
            assert settled(sink)["sent"] == 1


def test_an_event_too_old_is_dropped_unsent():
    with Receiver() as receiver, running(receiver.url, max_age_s=10) as sink:
        sink.put(detection(1, age_s=11))
        sink.put(detection(2))
        assert settled(sink) == {"queued": 0, "sent": 1, "dropped": 1, "retried": 0}
    assert len(receiver.requests) == 1


def test_an_event_is_given_up_when_it_is_too_old():
    with Receiver(otherwise=503) as receiver, running(receiver.url, max_age_s=1) as sink:
        sink.put(detection())
        counters = settled(sink)
    assert (counters["sent"], counters["dropped"]) == (0, 1)
    assert len(receiver.requests) == counters["retried"] + 1


def test_only_its_own_words_are_posted():
    with Receiver() as receiver, running(receiver.url, only=("go",)) as sink:
        sink.put(detection(1, "stop"))
        sink.put(detection(2, "go"))
        assert settled(sink)["sent"] == 1
    assert b'"go"' in receiver.requests[0].body


def test_a_full_queue_loses_its_oldest_and_counts_it():
    with Receiver() as receiver:
        receiver._answers = iter([receiver.hang])
        with running(receiver.url) as sink:
            sink.queue_max = 2
            sink.put(detection(1))
            receiver.wait_for(1)
            for seq in (2, 3, 4):
                sink.put(detection(seq))
            assert sink.counters == {"queued": 3, "sent": 0, "dropped": 1, "retried": 0}


def _drip_head(handler):
    with contextlib.suppress(OSError):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        for _ in range(2000):
            handler.wfile.write(b"x")
            time.sleep(0.01)
    handler.close_connection = True


def test_a_server_that_drips_its_answer_is_cut_off():
    """Each byte restarts a socket's own time limit; the limit of an attempt is for the whole of it."""
    with Receiver([_drip_head]) as receiver, running(receiver.url, timeout_s=0.3) as sink:
        sink.put(detection())
        assert settled(sink) == {"queued": 0, "sent": 1, "dropped": 0, "retried": 1}
    first, second = receiver.requests
    assert second.arrived_s - first.arrived_s < 10  # the drip alone takes 20 s


def test_a_server_that_never_answers_is_given_up():
    with Receiver() as receiver:
        receiver._answers = iter([receiver.hang])
        with running(receiver.url, timeout_s=0.2) as sink:
            sink.put(detection())
            assert settled(sink)["sent"] == 1
    assert len(receiver.requests) == 2


def _endless_body(handler):
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(OSError):
        while True:
            handler.wfile.write(b"x" * 65536)
    handler.close_connection = True


def _dripping_body(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(1000):
            handler.wfile.write(b"x")
            time.sleep(0.02)
    handler.close_connection = True


@pytest.mark.parametrize("answer", [_endless_body, _dripping_body])
def test_a_body_without_end_holds_nothing_up(answer):
    """The status is the answer: the event is delivered, once, and the next one follows."""
    with Receiver([answer]) as receiver, running(receiver.url) as sink:
        sink.put(detection(1))
        sink.put(detection(2))
        assert settled(sink) == {"queued": 0, "sent": 2, "dropped": 0, "retried": 0}
    first, second = receiver.requests
    assert second.arrived_s - first.arrived_s < 10


@contextlib.contextmanager
def raw_server(answer: bytes) -> Iterator[str]:
    """A server that sends ``answer`` to whoever connects, and hangs up."""
    import threading

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                channel, _ = listener.accept()
                with channel, contextlib.suppress(OSError):
                    channel.recv(65536)
                    channel.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/?s3cret"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"220 mail.example ESMTP s3cret\r\n",
        b"\x00\xff" * 100,
        b"HTTP/1.1 abc s3cret\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\ns3cret: y\r\n\r\n",
    ],
    ids=["nothing", "mail", "noise", "no status", "interim"],
)
def test_what_is_no_http_is_a_connection_error(answer, caplog):
    """It is tried again, ends in a drop, and nothing that the server said gets into the log."""
    caplog.set_level(logging.DEBUG)
    with raw_server(answer) as url, running(url, max_age_s=2) as sink:
        sink.put(detection())
        counters = settled(sink)
    assert (counters["sent"], counters["dropped"]) == (0, 1)
    assert counters["retried"] >= 1
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </s>\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 120 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno header at all\r\n\r\n",
        b"HTTP/1.0 200\n\n",
    ],
    ids=["processing", "early hints", "many headers", "long header", "no header", "old"],
)
def test_a_final_2xx_is_delivered_once_whatever_is_around_it(answer):
    with raw_server(answer) as url, running(url) as sink:
        sink.put(detection())
        assert settled(sink) == {"queued": 0, "sent": 1, "dropped": 0, "retried": 0}


@pytest.mark.parametrize("size", [b"-1", b"-5", b"nonsense", b"f" * 5000])
def test_a_chunk_of_an_impossible_size_does_not_unmake_a_delivery(size):
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\nhello"
    with raw_server(answer) as url, running(url) as sink:
        sink.put(detection())
        assert settled(sink) == {"queued": 0, "sent": 1, "dropped": 0, "retried": 0}


def test_stop_cuts_a_request_short_and_counts_it():
    with Receiver() as receiver:
        receiver._answers = iter([receiver.hang])
        with running(receiver.url, timeout_s=60, max_age_s=60) as sink:
            sink.put(detection(1))
            sink.put(detection(2))
            receiver.wait_for(1)
            assert not sink.drain(time.monotonic() + 0.05)
            sink.stop()
            wait_until(lambda: not is_running(sink))
            assert sink.counters == {"queued": 0, "sent": 0, "dropped": 2, "retried": 0}


def test_stop_cuts_back_off_short_and_counts_it():
    answer = (503, {"Retry-After": "50"})
    with Receiver(otherwise=answer) as receiver, running(receiver.url, max_age_s=60) as sink:
        sink.put(detection())
        receiver.wait_for(1)
        sink.stop()
        wait_until(lambda: not is_running(sink))
        assert sink.counters == {"queued": 0, "sent": 0, "dropped": 1, "retried": 0}


def test_stop_cuts_a_connection_attempt_short():
    """A listener whose backlog is full drops further handshakes, like a host that is not there."""
    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(8):
            filler = waiting.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(address)
        with running(f"http://127.0.0.1:{address[1]}/", timeout_s=60, max_age_s=60) as sink:
            sink.put(detection())
            wait_until(lambda: sink._poster._connection is not None and sink._poster._connection._handle is not None)
            sink.stop()
            wait_until(lambda: not is_running(sink))
            assert sink.counters["dropped"] == 1


def test_proxies_of_the_environment_are_not_used(monkeypatch):
    with Receiver() as proxy, Receiver() as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        with running(receiver.url) as sink:
            sink.put(detection())
            settled(sink)
        assert len(receiver.requests) == 1
        assert not proxy.requests


SECRETS = ("s3cretuser", "s3cretpass", "s3cretpath", "s3cretquery", "s3cretkey")


@pytest.mark.parametrize("answer", [200, 302, 404, 410, 503, _drip_head])
def test_no_secret_gets_into_the_log_or_a_repr(answer, caplog):
    caplog.set_level(logging.DEBUG)
    with Receiver(otherwise=answer) as receiver:
        url = f"http://s3cretuser:s3cretpass%21@127.0.0.1:{receiver.port}/s3cretpath?token=s3cretquery"
        environ = {"S": "s3cretkey"}
        with running(url, environ, secret_env="S", max_age_s=2, timeout_s=0.5) as sink:
            sink.put(detection())
            settled(sink)
            shown = caplog.text + repr(sink) + repr(sink._poster) + repr(sink.settings)
        (request, *_) = receiver.requests
    assert not [secret for secret in SECRETS if secret in shown]
    assert request.path == "/s3cretpath?token=s3cretquery"
    assert request.headers["Authorization"] == "Basic " + base64.b64encode(b"s3cretuser:s3cretpass!").decode()
    assert b"s3cret" not in request.body


def test_trouble_is_told_once_and_its_end_too(caplog):
    caplog.set_level(logging.INFO)
    with Receiver([503, 503, 200]) as receiver, running(receiver.url) as sink:
        sink.put(detection())
        settled(sink)
    lines = [record.getMessage() for record in caplog.records if record.name == "kwsd.sinks.webhook.sink"]
    host = f"http://127.0.0.1:{receiver.port}"
    assert lines == [f"{host}: answers 503; trying again", f"{host}: works again; 0 events were dropped so far"]


def test_a_reload_changes_the_secret_and_keeps_the_queue():
    old = WebhookSettings(url=Url.parse("http://127.0.0.1:9/hook"), secret_env="S", max_age_s=60)
    with Receiver() as receiver:
        receiver._answers = iter([503])
        sink = WebhookSink(WebhookSettings(url=Url.parse(receiver.url), secret_env="S"), {"S": "old"})
        new = WebhookSink(WebhookSettings(url=Url.parse(receiver.url), secret_env="S", timeout_s=9), {"S": "new"})
        assert sink.can_adopt(new)
        assert not sink.can_adopt(WebhookSink(old, {"S": "old"}))
        sink.put(detection())
        sink.adopt(new)
        sink.start()
        settled(sink)
        sink.stop()
        assert sink.settings.timeout_s == 9
    request = receiver.requests[-1]
    wanted = sign(b"new", request.headers["webhook-id"], request.headers["webhook-timestamp"], request.body)
    assert request.headers["webhook-signature"] == wanted


@pytest.mark.parametrize(
    ("failures", "left_s", "ceiling_s"),
    [(1, 100, 0.5), (2, 100, 1.0), (3, 100, 2.0), (8, 1000, 60.0), (500, 1000, 60.0), (8, 7.0, 7.0), (8, 0.1, 0.5)],
)
def test_back_off_draws_from_zero_to_a_doubling_ceiling(failures, left_s, ceiling_s):
    assert backoff_s(failures, left_s, lambda low, high: low) == 0.0
    assert backoff_s(failures, left_s, lambda low, high: high) == ceiling_s


NOW = datetime(2026, 11, 21, 9, 30, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0),
        ("120", 120),
        (" 3 ", 3),
        ("Sat, 21 Nov 2026 09:30:07 GMT", 7),
        ("Saturday, 21-Nov-26 09:30:07 GMT", 7),
        ("Sat Nov 21 09:30:07 2026", 7),
        ("Sat, 21 Nov 2026 09:29:00 GMT", 0),
        ("soon", 0),
        ("-5", 0),
        ("", 0),
        ("9" * 400, 9_999_999_999),
        ("Sat, 99 Nov 2026 09:30:07 GMT", 0),
        ("Fri, 31 Dec 999 9999999999923:9 GMT", 0),
        ("Fri, 31 Dec 1999 23:59:59 +99999999999999999999", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, seconds):
    assert retry_after_s(value, NOW) == seconds
