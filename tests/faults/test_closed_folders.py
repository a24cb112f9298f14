"""Paths beneath folders that kwsd's user may not enter: one clear line and 78, and a reload that changes nothing."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.test_sinks_together import audio, feed
from tests.faults.test_supervision import BROKEN
from tests.helpers.kwsd_process import DEMO, running
from tests.helpers.ordinary_user import COMMAND, closed, run_as_ordinary_user

__all__ = ["closed"]

REFUSED = "reload rejected; keeping previous settings: "
SINKS = [
    ("{{type: clips, folder: {}/clips}}", "'{}/clips' cannot be looked at: Permission denied"),
    ("{{type: socket, path: {}/run/s}}", "'{}/run' cannot be looked at: Permission denied"),
    ("{{type: webhook, url: 'http://127.0.0.1:9/', spool: {}/hook.db}}", "spool {}/hook.db: "),
]


def configured(folder: Path, sink: str, rest: str = "") -> Path:
    path = folder / "kwsd.yaml"
    path.write_text(f"model: tiny\nsinks:\n- type: stdout\n- {sink}\n{rest}")
    return path


@pytest.mark.parametrize(("sink", "why"), SINKS, ids=["clips", "socket", "webhook"])
def test_a_path_in_a_closed_folder_is_one_line_at_a_check_and_at_a_start(
    closed: Path, tmp_path: Path, sink: str, why: str
) -> None:
    path = configured(tmp_path, sink.format(closed))
    checked = run_as_ordinary_user("check-config", path)
    assert checked.process.returncode == 78, checked.log
    [line] = checked.log
    assert line.startswith(f"{path}:4: ") and why.format(closed) in line
    started = run_as_ordinary_user("--config", path, "--source", DEMO)
    assert started.process.returncode == 78, started.log
    [line] = started.log
    assert str(closed) in line and "Permission denied" in line


@pytest.mark.parametrize(
    "sink", ["{{type: socket, path: {}/s}}", "{{type: webhook, url: 'http://h/', spool: {}/h.db}}"]
)
def test_a_check_finds_a_folder_that_may_be_read_and_not_written(tmp_path: Path, sink: str) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir(0o555)
    checked = run_as_ordinary_user("check-config", configured(tmp_path, sink.format(folder)))
    assert checked.process.returncode == 78, checked.log
    assert f"folder '{folder}' cannot be written to by kwsd's user" in checked.log[0]


def test_the_doctor_tells_of_a_socket_in_a_closed_folder(closed: Path, tmp_path: Path) -> None:
    path = configured(tmp_path, f"{{type: socket, path: {closed}/run/s}}")
    done = run_as_ordinary_user("doctor", "--json", "--config", path)
    assert (done.process.returncode, done.log) == (69, [])
    [found] = [check for check in json.loads(done.lines[0])["checks"] if check["check"] == "socket"]
    assert found["result"] == "fail" and "cannot be looked at: Permission denied" in found["text"]


def test_a_reload_with_a_closed_folder_is_refused_and_the_old_settings_stay(closed: Path, tmp_path: Path) -> None:
    path = configured(tmp_path, "{type: exec, commands: {stop: [/bin/true]}}")
    with running("--config", path, "--source", "-", command=COMMAND, stdin=subprocess.PIPE) as kwsd:
        kwsd.process.stdin.buffer.write(audio(1))
        kwsd.process.stdin.buffer.flush()
        kwsd.wait_for(lambda: bool(kwsd.lines), "words are heard")
        for count, (sink, _) in enumerate(SINKS, 1):
            configured(tmp_path, sink.format(closed))
            kwsd.process.send_signal(signal.SIGHUP)
            kwsd.wait_for(lambda: sum(REFUSED in line for line in kwsd.log) == count, "the reload is refused")  # noqa: B023
        feed(kwsd, audio(1))
        assert kwsd.end() == 0, kwsd.log
    assert not any("Traceback" in line for line in kwsd.log)
    assert sum(str(closed) in line for line in kwsd.log) == len(SINKS)


def test_a_fault_of_a_file_that_no_check_has_thought_of_refuses_a_reload(tmp_path: Path) -> None:
    path = configured(tmp_path, "{type: exec, commands: {stop: [/bin/true]}}")
    broken = (sys.executable, "-c", BROKEN.format(error="OSError"), "kwsd.daemon.daemon:Daemon:_make_sinks:2")
    with running("--config", path, "--source", "-", command=broken, stdin=subprocess.PIPE) as kwsd:
        kwsd.process.stdin.buffer.write(audio(1))
        kwsd.process.stdin.buffer.flush()
        kwsd.wait_for(lambda: bool(kwsd.lines), "words are heard")
        kwsd.process.send_signal(signal.SIGHUP)
        kwsd.wait_for_log(f"{REFUSED}it broke")
        feed(kwsd, audio(1))
        assert kwsd.end() == 0, kwsd.log


def test_recordings_are_kept_on_a_disk_whose_lost_and_found_is_root_s(tmp_path: Path) -> None:
    (tmp_path / "clips" / "lost+found").mkdir(0o000, parents=True)
    path = configured(tmp_path, f"{{type: clips, folder: {tmp_path}/clips}}")
    done = run_as_ordinary_user("--config", path, "--source", DEMO)
    assert done.process.returncode == 0, done.log
    assert len(list(tmp_path.glob("clips/*/*.flac"))) == len(done.lines) > 0


def test_a_model_in_a_closed_folder_is_one_that_cannot_be_read(closed: Path) -> None:
    done = run_as_ordinary_user("info", closed / "my.tflite")
    assert done.process.returncode == 78
    assert done.log == [f"kwsd: {closed}/my.tflite: cannot be read: Permission denied"]
