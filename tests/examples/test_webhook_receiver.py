"""The example receiver, as its own process, against the real sink and against people who are not kwsd."""

import base64
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from kwsd.events import encode
from kwsd.sinks.webhook.settings import WebhookSettings
from kwsd.sinks.webhook.signing import sign
from kwsd.sinks.webhook.sink import WebhookSink
from kwsd.sinks.webhook.url import Url
from tests.sinks.http_receiver import detection

RECEIVER = Path(__file__).parents[2] / "examples" / "webhook_receiver.py"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY = base64.b64decode(SECRET.removeprefix("whsec_"))


@pytest.fixture
def receiver():
    """The running example; its standard output holds the words it heard."""
    process = subprocess.Popen(
        [sys.executable, RECEIVER, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "KWSD_HOOK_SECRET": f" {SECRET}\n"},
    )
    process.url = re.search(r"http://\S+", process.stderr.readline())[0]
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def words(process) -> list[str]:
    """Ends the receiver and returns the words it printed."""
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
    return [line.split()[0] for line in output.splitlines()]


def send(url, secret=SECRET, *events):
    sink = WebhookSink(WebhookSettings(url=Url.parse(url), secret_env="S"), {"S": secret})
    sink.start()
    for event in events:
        sink.put(event)
    assert sink.drain(time.monotonic() + 20)
    sink.stop()
    return sink.counters


def post(url, body, headers) -> int:
    """The status that a request of one's own making gets."""
    request = urllib.request.Request(url, body, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_it_prints_the_words_that_kwsd_sends_once_each(receiver):
    counters = send(receiver.url, SECRET, detection(1, "go"), detection(2, "stop"), detection(1, "go"))
    assert (counters["sent"], counters["dropped"]) == (3, 0)
    assert words(receiver) == ["go", "stop"]


def test_another_secret_is_refused(receiver):
    counters = send(receiver.url, "another", detection(1, "go"))
    assert (counters["sent"], counters["dropped"]) == (0, 1)
    assert words(receiver) == []


def headers_of(event, body, at_s):
    timestamp = str(int(at_s))
    return {
        "webhook-id": event.id,
        "webhook-timestamp": timestamp,
        "webhook-signature": "v1,c2hvcnQ= " + sign(KEY, event.id, timestamp, body),
    }


def test_what_is_old_forged_or_no_event_is_refused(receiver):
    event, now = detection(1, "go"), time.time()
    body = encode(event.to_dict()).encode()
    assert post(receiver.url, body, headers_of(event, body, now - 400)) == 401
    assert post(receiver.url, body, headers_of(event, body, now + 400)) == 401
    assert post(receiver.url, body + b" ", headers_of(event, body, now)) == 401
    assert post(receiver.url, body, {}) == 401
    assert post(receiver.url, body, {**headers_of(event, body, now), "webhook-timestamp": "soon"}) == 401
    assert post(receiver.url, b"[1]", headers_of(event, b"[1]", now)) == 400
    assert post(receiver.url, b"x" * 70000, headers_of(event, b"", now)) == 413
    assert post(receiver.url, body, headers_of(event, body, now)) == 204
    assert words(receiver) == ["go"]


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_*"])
def test_without_a_secret_it_does_not_start(secret):
    process = subprocess.run(
        [sys.executable, RECEIVER, "--port", "0"],
        env={**os.environ, "KWSD_HOOK_SECRET": secret},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.returncode == 1
    assert process.stderr.count("\n") == 1
