"""Certificates are verified: who signed them, and for which name.

self_signed.pem was made by: openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500
-subj /CN=localhost -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:TRUE
"""

import socket
import threading
import time
from pathlib import Path

import pytest

from kwsd.sinks.webhook.settings import WebhookSettings
from kwsd.sinks.webhook.sink import WebhookSink
from kwsd.sinks.webhook.url import Url
from tests.sinks.http_receiver import Receiver, detection

PEM = str(Path(__file__).with_name("self_signed.pem"))


def deliver(url: str, timeout_s: float = 3.0, max_age_s: float = 2.0) -> dict[str, int]:
    sink = WebhookSink(WebhookSettings(url=Url.parse(url), timeout_s=timeout_s, max_age_s=max_age_s))
    sink.start()
    sink.put(detection())
    assert sink.drain(time.monotonic() + 20)
    sink.stop()
    return sink.counters


def test_a_certificate_that_nobody_trusts_is_refused(caplog):
    with Receiver(pem=PEM) as receiver:
        counters = deliver(f"https://localhost:{receiver.port}/")
        assert (counters["sent"], counters["dropped"]) == (0, 1)
        assert not receiver.requests
    assert "certificate refused: self-signed certificate" in caplog.text


def test_a_trusted_certificate_is_accepted_for_its_own_name_alone(monkeypatch, caplog):
    monkeypatch.setenv("SSL_CERT_FILE", PEM)
    with Receiver(pem=PEM) as receiver:
        assert deliver(f"https://localhost:{receiver.port}/", max_age_s=20)["sent"] == 1
        assert deliver(f"https://127.0.0.1:{receiver.port}/")["dropped"] == 1
        assert len(receiver.requests) == 1
    assert "certificate refused: IP address mismatch" in caplog.text


@pytest.mark.parametrize("how", ["silent", "plain"])
def test_a_server_that_speaks_no_tls_is_given_up(how):
    """The limit of an attempt holds inside the handshake too."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        channels: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    channel, _ = listener.accept()
                except OSError:
                    return
                channels.append(channel)
                if how == "plain":
                    channel.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        counters = deliver(f"https://localhost:{listener.getsockname()[1]}/", timeout_s=0.2)
        assert (counters["sent"], counters["dropped"]) == (0, 1)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for channel in channels:
            channel.close()
