"""Words of a network stream (HTTP, RTSP, UDP), through ffmpeg, from servers that break off, stall, come back."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.helpers.kwsd_process import DEMO, demo_words, in_order, run, running
from tests.helpers.rtsp_server import RtspServer
from tests.helpers.stream_server import StreamServer

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def ffmpegs_of(pid: int) -> list[int]:
    done = subprocess.run(["pgrep", "-P", str(pid), "ffmpeg"], capture_output=True, text=True)
    return [int(line) for line in done.stdout.split()]


@pytest.fixture
def server():
    with StreamServer(DEMO, 44_100) as server:
        yield server


def test_a_stream_is_heard_whatever_its_server_does(server):
    with running("--source", server.url("/live?key=geheim", "paul:secret@")) as kwsd:
        kwsd.wait_for(lambda: in_order(kwsd.words, demo_words()) >= 5, "words of the stream")
        first = list(kwsd.events)

        server.rate_hz = 22_050
        server.break_off()
        kwsd.wait_for_log("recovering: the stream ended")
        kwsd.wait_for(lambda: len(server.requests) == 2, "the stream is opened again")
        kwsd.wait_for(lambda: in_order(kwsd.words[len(first) :], demo_words()) >= 3, "words at the other rate")

        server.stalled.set()
        kwsd.wait_for_log("stalled: no audio for 2 s")
        server.stalled.clear()
        before = len(kwsd.events)
        kwsd.wait_for(lambda: len(kwsd.events) > before, "words after the stall")

        server.go_away()
        kwsd.wait_for_log("waiting: ffmpeg: Connection refused")
        server.come_back()
        before = len(kwsd.events)
        kwsd.wait_for(lambda: len(kwsd.events) > before, "words after the server came back")

        shown = Path(f"/proc/{ffmpegs_of(kwsd.process.pid)[0]}/cmdline").read_text()
        code, _ = kwsd.stop()
        assert code == 0
        assert {event["device"] for event in kwsd.events} == {f"http://127.0.0.1:{server.port}"}
        told = "\n".join([*kwsd.log, *kwsd.lines, shown])
        assert not any(secret in told for secret in ("paul", "secret", "geheim", "/live"))
        assert any("of audio lost" in line for line in kwsd.log)


def test_gaps_are_counted_by_the_clock(server):
    with running("--source", server.url()) as kwsd:
        kwsd.wait_for(lambda: len(kwsd.events) >= 2, "words")
        server.go_away()
        kwsd.wait_for_log("waiting")
        server.come_back()
        before = len(kwsd.events)
        kwsd.wait_for(lambda: len(kwsd.events) > before + 1, "words after the gap")
        ours = [event["audio_ms"] for event in kwsd.events]
        clock = [moment_ms(event["time"]) for event in kwsd.events]
        assert abs((ours[-1] - ours[0]) - (clock[-1] - clock[0])) < 1500
        assert all(event["latency_ms"] is not None for event in kwsd.events)


def moment_ms(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp() * 1000


def test_nothing_is_left_over(server):
    with running("--source", server.url()) as kwsd:
        kwsd.wait_for(lambda: bool(kwsd.events), "a word")
        (child,) = ffmpegs_of(kwsd.process.pid)
        os.kill(kwsd.process.pid, signal.SIGKILL)
        kwsd.end()
        deadline_s = time.monotonic() + 10
        while Path(f"/proc/{child}").exists() and time.monotonic() < deadline_s:
            time.sleep(0.05)
        assert not Path(f"/proc/{child}").exists()


def test_paused_nobody_is_connected(server, tmp_path):
    with running("--source", server.url(), "--socket", tmp_path / "s") as kwsd:
        kwsd.wait_for(lambda: bool(kwsd.events), "a word")
        assert run("pause", "--socket", tmp_path / "s").process.returncode == 0
        kwsd.wait_for(lambda: not ffmpegs_of(kwsd.process.pid), "ffmpeg has ended")
        assert run("resume", "--socket", tmp_path / "s").process.returncode == 0
        before = len(kwsd.events)
        kwsd.wait_for(lambda: len(kwsd.events) > before, "a word after the pause")


def test_a_configuration_names_a_stream_and_is_shown_without_its_secrets(server, tmp_path):
    config = tmp_path / "kwsd.yaml"
    config.write_text(f"audio: {{source: '{server.url('/a?k=geheim', 'paul:secret@')}'}}\n")
    shown = run("check-config", config)
    assert shown.process.returncode == 0
    assert f'source: "http://127.0.0.1:{server.port}"  # no more of it is shown' in "\n".join(shown.lines)
    assert "geheim" not in "".join(shown.lines + shown.log)
    with running("--config", config) as kwsd:
        kwsd.wait_for(lambda: bool(kwsd.events), "a word")


def test_without_ffmpeg_the_apt_line_is_told(tmp_path):
    ended = run("--source", "rtsp://paul:secret@camera.lan/1", env={"PATH": str(tmp_path)})
    assert ended.process.returncode == 69
    (line,) = (line for line in ended.log if "ffmpeg" in line)
    assert "sudo apt-get install ffmpeg" in line


def test_no_wait_ends_where_nobody_answers(server):
    server.go_away()
    ended = run("--source", server.url("/", "paul:secret@"), "--no-wait")
    assert ended.process.returncode == 69
    assert ended.log[-1] == (
        f"kwsd: http://127.0.0.1:{server.port}: ffmpeg: Connection refused. Without --no-wait it is waited for."
    )


def test_a_playlist_from_a_server_opens_no_file(tmp_path):
    """What a playlist names that somebody else wrote may be a file of this machine."""
    import http.server
    import threading

    asked = []

    class Playlist(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "application/vnd.apple.mpegurl")
            self.end_headers()
            self.wfile.write(
                f"#EXTM3U\n#EXT-X-TARGETDURATION:30\n#EXTINF:30,\nfile://{speech}\n#EXT-X-ENDLIST\n".encode()
            )

        def log_message(self, *_):
            pass

    speech = tmp_path / "speech.ts"
    subprocess.run(["ffmpeg", "-v", "error", "-i", DEMO, "-f", "mpegts", speech], check=True)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Playlist) as playlists:
        threading.Thread(target=playlists.serve_forever, daemon=True).start()
        with running("--source", f"http://127.0.0.1:{playlists.server_port}/a.m3u8") as kwsd:
            kwsd.wait_for(lambda: len(asked) >= 2, "the playlist is asked for again")
            assert not kwsd.events
        playlists.shutdown()
        with running("--source", str(speech.as_uri())) as kwsd:  # the person at the command line may name it
            kwsd.wait_for(lambda: bool(kwsd.events), "words of the file")


def test_rtsp_as_of_a_camera_is_heard_and_opened_again():
    with (
        RtspServer(DEMO) as camera,
        running("--source", f"rtsp://paul:secret@127.0.0.1:{camera.port}/live?key=geheim") as kwsd,
    ):
        kwsd.wait_for(lambda: in_order(kwsd.words, demo_words()) >= 3, "words of the stream")
        assert {"DESCRIBE", "SETUP", "PLAY"} <= set(camera.methods)
        camera.break_off()
        kwsd.wait_for_log("recovering: ")
        before = len(kwsd.events)
        kwsd.wait_for(lambda: len(kwsd.events) > before + 1, "words after it broke off")
        assert {event["device"] for event in kwsd.events} == {f"rtsp://127.0.0.1:{camera.port}"}
        assert not any(secret in "\n".join(kwsd.log + kwsd.lines) for secret in ("paul", "secret", "geheim"))
        assert kwsd.stop()[0] == 0


def test_udp_is_heard_stalls_when_its_sender_goes_and_goes_on():
    address = f"udp://127.0.0.1:{free_udp_port()}"
    with running("--source", address) as kwsd:
        with sending(address):
            kwsd.wait_for(lambda: in_order(kwsd.words, demo_words()) >= 3, "words of the stream")
        kwsd.wait_for_log("stalled: no audio for 2 s")
        before = len(kwsd.events)
        with sending(address):
            kwsd.wait_for(lambda: len(kwsd.events) > before + 1, "words of the next sender")
        assert {event["device"] for event in kwsd.events} == {address}
        assert kwsd.stop()[0] == 0


@contextlib.contextmanager
def sending(address):
    """An ffmpeg that sends the demo again and again, as MPEG-TS, to whoever is there."""
    sound = ["-re", "-stream_loop", "-1", "-i", DEMO, "-c:a", "mp2", "-b:a", "128k", "-f", "mpegts"]
    with subprocess.Popen(["ffmpeg", "-nostdin", "-v", "error", *sound, f"{address}?pkt_size=1316"]) as sender:
        try:
            yield
        finally:
            sender.kill()
