"""What is told to a person at the moment when it helps."""

import os
import re
import stat
import subprocess
import sys
import time

import numpy as np
import pytest

from kwsd import Spotter, model
from kwsd.cli.main import main
from kwsd.sinks.stdout import text_line
from tests.helpers.kwsd_process import DEMO, run
from tests.sinks.conftest import detection


def test_a_recording_longer_than_a_clip_is_said_to_be_cut(capfd):
    assert main(["label", "tiny", str(DEMO)]) == 0
    assert "only its first 1000 ms are scored" in capfd.readouterr().err


def test_a_run_whose_events_go_nowhere_says_so():
    kwsd = run("--no-stdout", "--source", DEMO)
    assert kwsd.lines == []
    assert "kwsd: events go nowhere" in kwsd.log


def test_model_words_and_source_are_told_when_audio_flows():
    log = run("--source", DEMO, "--only", "stop,go").log
    assert any("kwsd-default" in line and "demo.flac: stop, go" in line for line in log), log


def test_v_says_more(tmp_path):
    plain, more = (run("--source", DEMO, *flags, "--socket", tmp_path / "s").log for flags in ((), ("-v",)))
    assert len(more) > len(plain)
    for what in (
        "default.tflite, SHA-256 ",
        "recognize: mode repeat, ",
        "clip_stride_ms 40",
        "events go to stdout, socket",
    ):
        assert any(what in line for line in more), (what, more)


def test_lines_on_a_terminal_have_the_time():
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        subprocess.run(
            [sys.executable, "-m", "kwsd", "--source", DEMO], stdout=subprocess.DEVNULL, stderr=theirs, timeout=60
        )
        os.close(theirs)
        lines = screen.read(65536).decode().splitlines()
    assert lines and all(re.match(r"\d\d:\d\d:\d\d kwsd: ", line) for line in lines), lines


@pytest.mark.parametrize("samples", [[0.0, np.nan], [np.inf, 0.1]])
def test_samples_that_are_no_numbers_are_refused(samples):
    with pytest.raises(ValueError, match="not finite"):
        Spotter(model.load("tiny")).push(np.array(samples, np.float32))


def test_a_program_that_may_not_be_run_is_told_with_its_mend(tmp_path, capfd):
    script = tmp_path / "react.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(stat.S_IRUSR)
    assert main(["watch", "--no-wait", "--exec", str(script)]) == 2
    assert f"chmod +x {script}" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("command", "odd"),
    [
        ("echo $KWSD_LABEL", "$KWSD_LABEL"),
        ("date >> words", ">>"),
        ("date >>words", ">>words"),
        ("date 2>/dev/null", "2>/dev/null"),
        ("echo $(date)", "$(date)"),
        ("date | cat", "|"),
    ],
)
def test_what_only_a_shell_would_read_is_warned_of(command, odd, capfd, tmp_path):
    assert main(["watch", "--no-wait", "--socket", str(tmp_path / "none"), "--exec", command]) == 69
    assert f"no shell reads '{odd}'" in capfd.readouterr().err


def test_a_home_folder_that_only_a_shell_would_find_is_told(capfd):
    assert main(["watch", "--no-wait", "--exec", "~/react.sh"]) == 2
    assert "there is no program '~/react.sh'. No shell expands ~" in capfd.readouterr().err


def test_a_shell_that_is_asked_for_is_not(capfd, tmp_path):
    main(["watch", "--no-wait", "--socket", str(tmp_path / "none"), "--exec", "sh -c 'echo $KWSD_LABEL >> words'"])
    assert "no shell" not in capfd.readouterr().err


def test_people_read_the_time_of_their_own_clock(monkeypatch):
    monkeypatch.setenv("TZ", "XYZ-5:30")
    time.tzset()
    try:
        assert text_line(detection()).startswith(b"2026-11-21 15:00:00  stop")
    finally:
        monkeypatch.undo()
        time.tzset()
