"""The whole way: real recordings played into a microphone, words read from every sink."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import soundfile

import kwsd
from tests.helpers.kwsd_process import DEMO, demo_words, in_order, running
from tests.helpers.virtual_mic import VirtualMic


class Hook:
    """A local HTTP server that keeps what is posted."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.events.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing: the events are looked at."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def test_words_reach_standard_output_a_subscriber_and_a_webhook(microphone: VirtualMic, tmp_path: Path) -> None:
    """The demo, played at its pace into the microphone: the same events everywhere, and they are its words."""
    recording = tmp_path / "demo.wav"
    signal, rate_hz = soundfile.read(DEMO, dtype="int16")
    soundfile.write(recording, signal, rate_hz)
    path, subscribed, hook = tmp_path / "kwsd.sock", [], Hook()

    def subscribe() -> None:
        for message in kwsd.watch(str(path)):
            subscribed.append(message)

    try:
        with running("--socket", path, "--webhook", hook.url, env=microphone.env) as daemon:
            threading.Thread(target=subscribe, daemon=True).start()
            daemon.wait_for_log("listening: ")
            daemon.wait_for(lambda: bool(subscribed), "the subscriber is greeted")
            microphone.play(recording)
            said = demo_words()
            daemon.wait_for(lambda: in_order(daemon.words, said) >= 0.9 * len(said), "nine in ten words are heard", 10)
            code, took_s = daemon.stop()
    finally:
        hook.close()
    events = daemon.events
    assert code == 0 and took_s < 1.0, (code, took_s, daemon.log)
    assert len(events) - in_order(daemon.words, said) <= 1, daemon.words
    assert hook.events == events
    assert [message for message in subscribed if message["type"] == "detection"] == events
    assert all(0 <= event["latency_ms"] < 1000 for event in events)
    assert f"stdout: {len(events)} sent" in daemon.log[-1], daemon.log
