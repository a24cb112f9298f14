"""Whatever part of kwsd dies takes the whole down: code 70, its error the last line of the log, no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.kwsd_process import DEMO, ROOT

# kwsd, a method of which raises when it is called for the n-th time.
BROKEN = """
import importlib, sys
from kwsd.cli.main import main

module, owner, name, count = sys.argv.pop(1).split(":")
owner = getattr(importlib.import_module(module), owner)
whole, left = getattr(owner, name), int(count)

def broken(*arguments, **named):
    global left
    left -= 1
    if left <= 0:
        raise {error}("it broke")
    return whole(*arguments, **named)

setattr(owner, name, broken)
sys.exit(main())
"""


def kwsd_with(part: str, *arguments: str | Path, error: str = "RuntimeError", **how) -> tuple[int, list[str]]:
    """Runs kwsd on the demo with a broken part; exit code and log."""
    done = subprocess.run(
        [sys.executable, "-c", BROKEN.format(error=error), part, "--source", DEMO, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=how.pop("stdout", subprocess.DEVNULL),
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        **how,
    )
    return done.returncode, done.stderr.splitlines()


PARTS = [
    ("the network", "kwsd.model:Model:scores:100"),
    ("the source", "kwsd.audio.file:FileSource:read:50"),
    ("standard output's thread", "kwsd.sinks.stdout:StdoutSink:deliver:2"),
    ("the socket's thread", "kwsd.sinks.socket.sink:SocketSink:_broadcast:2"),
    ("the web hook's thread", "kwsd.sinks.webhook.sink:WebhookSink:_post:1"),
    ("the spool's thread", "kwsd.sinks.webhook.spool:Spool:mirror:1"),
    ("the main thread's look", "kwsd.daemon.daemon:Daemon:_look:2"),
    ("telling the state", "kwsd.daemon.systemd:Notifier:status:1"),
    ("telling the end", "kwsd.daemon.systemd:Notifier:status:2"),
]


@pytest.mark.parametrize(("part", "where"), PARTS, ids=[part for part, _ in PARTS])
def test_a_part_that_dies_ends_kwsd_with_its_error(part: str, where: str, tmp_path: Path) -> None:
    """systemd then starts it again; nothing goes on half alive."""
    config = tmp_path / "kwsd.yaml"
    config.write_text(
        f"sinks:\n  - type: stdout\n  - {{type: socket, path: {tmp_path}/kwsd.sock}}\n"
        f"  - {{type: webhook, url: 'http://127.0.0.1:9/', spool: {tmp_path}/hook.db, max_age_s: 1}}\n"
    )
    code, log = kwsd_with(where, "--config", config)
    assert code == 70, log
    assert "RuntimeError: it broke" in log[-1], log
    assert not any("Traceback" in line for line in log), log
    assert not (tmp_path / "kwsd.sock").exists()


def test_an_exit_inside_a_part_is_a_death_too() -> None:
    """SystemExit ends a thread without a word, and would end the main thread with its own code."""
    code, log = kwsd_with("kwsd.model:Model:scores:100", error="SystemExit")
    assert code == 70 and "SystemExit" in log[-1], log


def test_a_thread_without_a_supervisor_is_missed_too() -> None:
    """Whatever thread it is, and whoever started it."""
    starter = "import threading; import kwsd.daemon.spotter_thread as s; f = s.SpotterThread._finish"
    late = f"""
{starter}
def finish(self):
    thread = threading.Thread(target=lambda: 1 / 0, name="forgotten")
    thread.start()
    thread.join()
    f(self)
s.SpotterThread._finish = finish
import sys
from kwsd.cli.main import main
sys.exit(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", late, "--source", DEMO], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    log = done.stderr.splitlines()
    assert done.returncode == 70 and log[-1] == "kwsd: forgotten: ZeroDivisionError: division by zero", log


def test_what_dies_of_the_last_event_is_not_taken_for_a_good_end() -> None:
    """At the end of a recording the queues are drained: a part that dies then has not delivered."""
    code, log = kwsd_with("kwsd.sinks.stdout:StdoutSink:deliver:13")
    assert code == 70 and "RuntimeError: it broke" in log[-1], log


def test_a_sink_that_cannot_be_opened_is_told_and_lets_the_microphone_go(microphone, tmp_path: Path) -> None:
    """Also where the sound server is frozen, in which PortAudio would hang the interpreter's exit."""
    path = tmp_path / "taken"
    path.write_text("")
    for change in ("freeze", "thaw"):
        microphone.do(change)
        done = subprocess.run(
            [sys.executable, "-m", "kwsd", "--socket", path],
            cwd=ROOT,
            env={**os.environ, **microphone.env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 78, done.stderr
        assert str(path) in done.stderr.splitlines()[-1]
